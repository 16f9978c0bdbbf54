// The bot's replies: which run, who asked for them and what, and who may stop them.

import { plainText } from "./plain.js";

const REPLY = 19;
const MANAGE_MESSAGES = 13;
const STOP = "⏹";

/** Whether a reaction is the stop sign. */
export function isStop(name) {
  return (name ?? "").startsWith(STOP);
}

/** Whether the bot's stop sign is on `message`: that is how it shows which reply can be stopped. */
export function isRunning(message, store) {
  return message.author.id === store.bot?.id && (message.reactions ?? []).some((reaction) =>
    isStop(reaction.emoji.name) && reaction.user_ids?.includes(store.bot.id));
}

/** The user who asked for a reply, or undefined where that cannot be seen. */
export function askerOf(message, store) {
  const used = message.interaction_metadata;
  if (used) return used.user ?? store.person(used.user_id);
  return first(message, store)?.referenced_message?.author;
}

/** What was asked, in a line of plain text, or "". */
export function questionOf(message, store) {
  const start = first(message, store);
  const original = start?.referenced_message;
  const asked = start?.interaction_metadata ? quoted(start.content) : original?.content;
  const bot = `@${store.nameOf(store.bot)}`;
  const text = plainText(asked, store.names);
  return text.startsWith(bot) ? text.slice(bot.length).trim() : text;
}

/** Whether the speaker may stop a reply: who asked may, and who manages messages there. */
export function mayStop(message, store) {
  return store.may(MANAGE_MESSAGES, message.channel_id) || askerOf(message, store)?.id === store.me;
}

/** The message that a reply began with: its further ones refer to nothing, and the sign has moved on from it. */
function first(message, store) {
  if (message.interaction_metadata || message.type === REPLY) return message;
  const earlier = store.list(message.channel_id).filter((each) => each.id !== message.id &&
    each.author.id === store.bot?.id && each.type === REPLY && !each.interaction_metadata && !isRunning(each, store));
  return earlier.filter((each) => new Date(each.timestamp) <= new Date(message.timestamp)).at(-1);
}

/** The question above the answer to a command: its first line, quoted. */
function quoted(content) {
  return /^> ([^\n]*)/.exec(content)?.[1];
}
