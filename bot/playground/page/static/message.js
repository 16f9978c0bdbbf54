// One message as an element, and how it is patched in place when it changes.

import { avatar, colourOf } from "./avatar.js";
import { componentRows } from "./components.js";
import { h, icon, iconButton, patchChildren } from "./dom.js";
import { emojiNode, reactionLabel } from "./emoji.js";
import { plainText } from "./plain.js";
import { renderContent, withSigns } from "./render.js";
import { isStop } from "./replies.js";
import { EPHEMERAL, LOADING, STARTER } from "./store.js";
import { decoded } from "./text.js";
import { clockOf, stampOf } from "./timestamps.js";

const REPLY = 19;
const THREAD_CREATED = 18;
const TALK = new Set([0, REPLY, 20, 23]);
const PREVIEW = 160;

/** Whether people talk in a message; others only tell what happened, and cannot be answered or edited. */
export function isTalk(message) {
  return TALK.has(message.type);
}

/** Build the element of a message; `compact` ones follow an earlier one of the same author. */
export function messageElement(message, context, compact) {
  const node = h("li", { class: "message", id: `message-${message.id}`, tabIndex: -1, data: { id: message.id } });
  updateMessage(node, message, context, compact);
  return node;
}

/** Bring `node` up to date without replacing what did not change. */
export function updateMessage(node, stored, context, compact) {
  const message = shown(stored);
  const ephemeral = Boolean(message.flags & EPHEMERAL);
  node.classList.toggle("compact", compact);
  node.classList.toggle("ephemeral", ephemeral);
  node.classList.toggle("mentions-me", mentionsMe(message, context.store));
  node.setAttribute("aria-label", `${context.store.nameOf(message.author)}, ${stampOf(message.timestamp)}`);
  patchChildren(node, [
    gutter(message, compact),
    h("div", { class: "message-main" },
      context.editing === message.id ? editor(message, context) : [
        replyLine(message, context),
        header(message, context, compact),
        h("div", { class: "content", data: { key: "content" } }, body(message, context.store)),
        forwarded(message, context.store),
        attachments(message),
        embeds(message, context.store),
        componentRows(message, context),
        reactions(message, context),
        ephemeral ? ephemeralNote(message, context) : null,
      ]),
    context.editing === message.id ? h("span") : toolbar(message, context),
  ]);
}

/** What stands for a message: the first one of a thread shows the message that the thread began with. */
function shown(message) {
  const { id, type, channel_id: channelId, flags } = message;
  const original = type === STARTER ? message.referenced_message : null;
  return original ? { ...original, id, type, channel_id: channelId, flags, reactions: [], components: [] } : message;
}

function mentionsMe(message, store) {
  return message.author.id !== store.me && (message.mention_everyone ||
    (message.mentions ?? []).some((user) => user.id === store.me));
}

function gutter(message, compact) {
  return h("div", { class: "gutter", data: { key: compact ? "time" : "avatar" } },
    compact ? h("time", { class: "hover-time", datetime: message.timestamp, text: clockOf(message.timestamp) })
      : avatar(message.author));
}

function header(message, context, compact) {
  if (compact) return h("span", { class: "visually-hidden", data: { key: "who" },
    text: `${context.store.nameOf(message.author)}: ` });
  const name = h("span", { class: "author", text: context.store.nameOf(message.author) });
  name.style.setProperty("--name", colourOf(context.store.person(message.author.id) ?? message.author));
  return h("div", { class: "message-head", data: { key: "head" } }, name,
    message.author.bot ? h("span", { class: "app-tag", text: "APP" }) : null,
    h("time", { class: "stamp", datetime: message.timestamp, text: stampOf(message.timestamp) }));
}

function body(message, store) {
  if (message.flags & LOADING) {
    return [h("p", { class: "thinking-line" }, h("span", { class: "dots", "aria-hidden": "true" }, h("i"), h("i"), h("i")),
      `${store.nameOf(message.author)} is thinking…`)];
  }
  if (message.type === THREAD_CREATED) return [h("p", { class: "system" }, "started a thread: ",
    h("a", { class: "mention", href: `#${message.message_reference?.channel_id}`, text: message.content,
      data: { channel: message.message_reference?.channel_id ?? "" } }))];
  if (message.type === STARTER && !message.content && !message.attachments?.length) {
    return [h("p", { class: "system", text: "The message that this thread began with was deleted." })];
  }
  const nodes = renderContent(message.content, store.names);
  if (message.edited_timestamp) {
    const mark = h("span", { class: "edited", title: `Edited ${stampOf(message.edited_timestamp)}`, text: "(edited)" });
    const last = nodes.at(-1);
    if (last?.nodeName === "P") last.append(" ", mark);
    else nodes.push(mark);
  }
  return nodes;
}

/** The message that this one forwards; Discord does not say who wrote it. */
function forwarded(message, store) {
  const snapshot = message.message_snapshots?.[0]?.message;
  if (!snapshot) return null;
  return h("blockquote", { class: "forwarded", data: { key: "forwarded" } }, h("small", {}, icon("reply"), "Forwarded"),
    h("div", { class: "content" }, renderContent(snapshot.content, store.names)), attachments(snapshot),
    embeds(snapshot, store));
}

function replyLine(message, context) {
  const invoked = invocation(message, context.store);
  if (invoked) return h("div", { class: "reply-line", data: { key: "invoked" } }, avatar(invoked.user, "tiny"),
    h("b", { text: context.store.nameOf(invoked.user) }), " used ", h("span", { class: "mention", text: `/${invoked.name}` }));
  if (message.type !== REPLY) return null;
  const original = message.referenced_message;
  if (!original) return h("div", { class: "reply-line", data: { key: "reply" } }, icon("reply"),
    h("i", { text: "Original message was deleted" }));
  return h("button", { type: "button", class: "reply-line", data: { key: "reply" },
    "aria-label": `In reply to ${context.store.nameOf(original.author)}, jump to that message`,
    on: { click: () => context.jump(original.id) } },
  avatar(original.author, "tiny"), h("b", { text: context.store.nameOf(original.author) }),
  h("span", { class: "reply-text" },
    withSigns(plainText(original.content, context.store.names).slice(0, PREVIEW) || "(no text)")));
}

function invocation(message, store) {
  const given = message.interaction_metadata ?? message.interaction;
  const name = given?.name ?? message.interaction?.name;
  const user = given?.user ?? store.person(given?.user_id);
  return name && user ? { name, user } : null;
}

function attachments(message) {
  if (!message.attachments?.length) return null;
  return h("ul", { class: "attachments", data: { key: "files" } }, message.attachments.map((file) => h("li", {},
    h("a", { href: safeUrl(file.url), target: "_blank", rel: "noopener noreferrer", download: file.filename,
      text: file.filename }),
    h("small", { text: size(file.size) }))));
}

function safeUrl(url) {
  try {
    const parsed = new URL(url, location.href);
    return ["http:", "https:"].includes(parsed.protocol) ? parsed.href : null;
  } catch {
    return null;
  }
}

function size(bytes) {
  if (bytes < 1024) return `${bytes} bytes`;
  return bytes < 1024 * 1024 ? `${(bytes / 1024).toFixed(1)} KB` : `${(bytes / 1024 / 1024).toFixed(1)} MB`;
}

function embeds(message, store) {
  if (!message.embeds?.length) return null;
  return h("div", { class: "embeds", data: { key: "embeds" } }, message.embeds.map((embed) => h("div", { class: "embed" },
    embed.title ? h("b", { class: "embed-title", text: embed.title }) : null,
    embed.description ? h("div", { class: "content" }, renderContent(embed.description, store.names)) : null,
    (embed.fields ?? []).map((field) => h("div", { class: "embed-field" }, h("b", { text: field.name }),
      h("div", { class: "content" }, renderContent(field.value, store.names)))),
    embed.footer?.text ? h("small", { text: embed.footer.text }) : null)));
}

function reactions(message, context) {
  if (!message.reactions?.length) return null;
  return h("div", { class: "reactions", data: { key: "reactions" }, role: "group", "aria-label": "Reactions" },
    message.reactions.map((reaction) => reactionButton(message, reaction, context)));
}

function reactionButton(message, reaction, context) {
  const mine = reaction.user_ids?.includes(context.store.me);
  const stop = isStop(reaction.emoji.name);
  const who = (reaction.user_ids ?? []).map((id) => context.store.nameOf(context.store.person(id))).join(", ");
  return h("button", { type: "button", class: `reaction${mine ? " mine" : ""}${stop ? " stop" : ""}`,
    "aria-pressed": String(Boolean(mine)), "aria-label": reactionLabel(reaction, stop),
    title: stop ? "Stop this reply" : who, data: { key: reaction.emoji.id ?? reaction.emoji.name, react: reaction.emoji.name,
      mine: mine ? "1" : "" } },
  emojiNode(reaction.emoji.name), h("span", { class: "count", text: String(reaction.count) }));
}

function ephemeralNote(message, context) {
  return h("div", { class: "ephemeral-note", data: { key: "only-you" } }, icon("eye"), "Only you can see this · ",
    h("button", { type: "button", class: "link", text: "Dismiss message", on: { click: () => context.store.dismiss(message) } }));
}

function toolbar(message, context) {
  if (message.flags & (EPHEMERAL | LOADING) || message.type === STARTER) return h("span", { class: "toolbar-none" });
  const own = message.author.id === context.store.me;
  const may = own || context.store.may(13);
  const tool = (name, label, action) => iconButton(name, label, null, { data: { action, key: action } });
  return h("div", { class: "toolbar", role: "toolbar", "aria-label": "Message actions", data: { key: "toolbar" } },
    tool("smile", "Add reaction", "react"),
    isTalk(message) ? tool("reply", "Reply", "reply") : null,
    own && isTalk(message) ? tool("edit", "Edit", "edit") : null,
    may ? tool("trash", "Delete", "delete") : null,
    tool("more", "More", "more"));
}

function editor(message, context) {
  const area = h("textarea", { class: "edit-area", value: decoded(message.content, context.store), rows: "3", "aria-label": "Edit message",
    on: { keydown: (event) => {
      event.stopPropagation();
      if (event.key === "Escape") context.finishEdit(message, null);
      if (event.key === "Enter" && !event.shiftKey) {
        event.preventDefault();
        context.finishEdit(message, area.value);
      }
    } } });
  return h("div", { class: "edit-box", data: { key: "editor" } }, area,
    h("small", {}, "Escape to ", h("button", { type: "button", class: "link", text: "cancel",
      on: { click: () => context.finishEdit(message, null) } }),
    " · Enter to ", h("button", { type: "button", class: "link", text: "save",
      on: { click: () => context.finishEdit(message, area.value) } })));
}
