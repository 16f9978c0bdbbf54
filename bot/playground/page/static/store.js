// What the page knows: people, channels, messages, who is typing. Events in, notifications out; no DOM here.

export const EPHEMERAL = 64;
export const LOADING = 128;
export const STARTER = 21;
const DIRECT = 1;
const SEND_MESSAGES = 11;
const SEND_IN_THREADS = 38;
const THREADS = new Set([10, 11, 12]);

/** Order of snowflakes: longer is later, then by digits. */
export function compareIds(a, b) {
  return a.length - b.length || (a < b ? -1 : a > b ? 1 : 0);
}

export class Store extends EventTarget {
  me = null;
  bot = null;
  people = [];
  guild = null;
  channels = new Map();
  commands = null; // until they are known
  status = {};
  current = null;
  messages = new Map();
  typing = new Map();
  unread = new Map();
  interactions = new Map();

  #tell(type, detail = {}) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }

  /** Take the snapshot that the server gives to whoever speaks now. */
  load(snapshot) {
    this.me = snapshot.me;
    this.bot = snapshot.bot;
    this.people = snapshot.people;
    this.guild = snapshot.guild;
    const wasDirect = this.channel?.type === DIRECT;
    this.channels = new Map(snapshot.channels.map((channel) => [channel.id, channel]));
    this.messages.clear();
    this.typing.clear();
    this.setStatus(snapshot.status);
    // Everybody has a conversation with the bot; another speaker goes on in their own.
    if (wasDirect) this.current = snapshot.channels.find((channel) => channel.type === DIRECT)?.id;
    if (!this.channels.has(this.current)) this.current = snapshot.channels[0]?.id ?? null;
    this.#tell("loaded");
  }

  /** Take the commands that the speaker can use here. */
  setCommands(commands) {
    this.commands = commands;
    this.#tell("known");
  }

  setStatus(status) {
    this.status = { ...this.status, ...status };
    this.#tell("status");
  }

  /** Show another channel. */
  enter(channelId) {
    this.current = channelId;
    this.unread.delete(channelId);
    this.#tell("entered");
    this.#tell("channels");
  }

  get channel() {
    return this.channels.get(this.current);
  }

  get user() {
    return this.people.find((person) => person.id === this.me);
  }

  /** Find a person or the bot. */
  person(id) {
    return id === this.bot?.id ? this.bot : this.people.find((person) => person.id === id);
  }

  nameOf(user) {
    return user?.global_name || user?.display_name || user?.username || "Someone";
  }

  /** Names for mentions in rendered text. */
  names = {
    user: (id) => { const person = this.person(id); return person && this.nameOf(person); },
    role: (id) => this.guild?.roles?.find((role) => role.id === id)?.name,
    channel: (id) => this.channels.get(id)?.name,
  };

  /** Whether the speaker holds a permission (a bit number) in a channel. */
  may(bit, channelId = this.current) {
    const permissions = BigInt(this.channels.get(channelId)?.permissions ?? "0");
    return Boolean((permissions >> BigInt(bit)) & 1n);
  }

  /** Whether the speaker may write in the channel that is shown. */
  get mayWrite() {
    const { channel } = this;
    return Boolean(channel) && (channel.type === DIRECT || this.may(this.isThread(channel) ? SEND_IN_THREADS : SEND_MESSAGES));
  }

  isThread(channel) {
    return THREADS.has(channel.type);
  }

  /** Put the history of a channel in place. */
  fill(channelId, messages) {
    this.messages.set(channelId, new Map(messages.map((message) => [message.id, message])));
    this.#tell("filled", { channelId });
  }

  /** Messages of a channel, oldest first. */
  list(channelId) {
    return [...(this.messages.get(channelId)?.values() ?? [])].sort((a, b) => compareIds(a.id, b.id));
  }

  message(channelId, id) {
    return this.messages.get(channelId)?.get(id);
  }

  /** People typing in a channel now, without the speaker. */
  typers(channelId) {
    const now = Date.now();
    return [...(this.typing.get(channelId) ?? [])].filter(([id, until]) => until > now && id !== this.me)
      .map(([id]) => this.nameOf(this.person(id)));
  }

  /** Forget an ephemeral message. */
  dismiss(message) {
    this.messages.get(message.channel_id)?.delete(message.id);
    this.#tell("removed", { channelId: message.channel_id, id: message.id });
  }

  /** Take an event as Discord's clients get it. */
  apply(event, data) {
    this.#reducers[event]?.(data);
  }

  #reducers = {
    MESSAGE_CREATE: (message) => this.#created(message),
    MESSAGE_UPDATE: (message) => this.#updated(message),
    MESSAGE_DELETE: ({ id, channel_id: channelId }) => {
      this.messages.get(channelId)?.delete(id);
      this.#refer(channelId, id, null);
      this.#tell("removed", { channelId, id });
    },
    MESSAGE_DELETE_BULK: ({ ids, channel_id: channelId }) => ids.forEach((id) =>
      this.apply("MESSAGE_DELETE", { id, channel_id: channelId })),
    MESSAGE_REACTION_ADD: (data) => this.#reacted(data, 1),
    MESSAGE_REACTION_REMOVE: (data) => this.#reacted(data, -1),
    MESSAGE_REACTION_REMOVE_ALL: (data) => this.#clearReactions(data, () => true),
    MESSAGE_REACTION_REMOVE_EMOJI: (data) => this.#clearReactions(data, (r) => r.emoji.name === data.emoji.name),
    TYPING_START: ({ channel_id: channelId, user_id: userId }) => {
      if (!this.typing.has(channelId)) this.typing.set(channelId, new Map());
      this.typing.get(channelId).set(userId, Date.now() + 10_000);
      this.#tell("typing", { channelId });
    },
    CHANNEL_CREATE: (channel) => this.#channel(channel),
    CHANNEL_UPDATE: (channel) => this.#channel(channel),
    THREAD_CREATE: (channel) => this.#channel(channel),
    THREAD_UPDATE: (channel) => this.#channel(channel),
    CHANNEL_DELETE: ({ id }) => { this.channels.delete(id); this.#tell("channels"); },
    THREAD_DELETE: ({ id }) => { this.channels.delete(id); this.#tell("channels"); },
    COMMANDS_CHANGED: () => this.#tell("commands"),
    STATUS: (status) => this.setStatus(status),
    METRICS: (metrics) => this.#tell("metrics", metrics),
    INTERACTION_STATE: (data) => {
      this.interactions.set(data.id, data);
      this.#tell("interaction", data);
    },
  };

  #channel(channel) {
    this.channels.set(channel.id, { ...this.channels.get(channel.id), ...channel });
    this.#tell("channels");
  }

  #created(message) {
    const { channel_id: channelId, author } = message;
    this.typing.get(channelId)?.delete(author.id);
    this.#tell("typing", { channelId });
    this.messages.get(channelId)?.set(message.id, message);
    if (channelId !== this.current && author.id !== this.me) {
      this.unread.set(channelId, (this.unread.get(channelId) ?? 0) + 1);
      this.#tell("channels");
    }
    this.#tell("created", { message });
  }

  #updated(message) {
    // A thread has the id of the message that it began with, and shows it.
    for (const starter of this.messages.get(message.id)?.values() ?? []) {
      if (starter.type !== STARTER) continue;
      starter.referenced_message = message;
      this.#tell("updated", { message: starter });
    }
    const messages = this.messages.get(message.channel_id);
    const known = messages?.get(message.id);
    if (!messages) return;
    const merged = { ...known, ...message };
    if (merged.reactions === undefined && known?.reactions) merged.reactions = known.reactions;
    messages.set(message.id, merged);
    this.#tell("updated", { message: merged });
    this.#refer(message.channel_id, message.id, merged);
  }

  /** Show above the replies to a message how it reads now; null: it was deleted. */
  #refer(channelId, id, original) {
    for (const reply of this.messages.get(channelId)?.values() ?? []) {
      if (reply.referenced_message?.id !== id) continue;
      reply.referenced_message = original;
      this.#tell("updated", { message: reply });
    }
  }

  #reacted({ channel_id: channelId, message_id: id, user_id: userId, emoji }, step) {
    const message = this.message(channelId, id);
    if (!message) return;
    const reactions = [...(message.reactions ?? [])];
    const index = reactions.findIndex((reaction) => sameEmoji(reaction.emoji, emoji));
    const users = new Set(reactions[index]?.user_ids ?? []);
    if (step > 0) users.add(userId);
    else users.delete(userId);
    const changed = { emoji, user_ids: [...users], count: users.size };
    if (index < 0) { if (step > 0) reactions.push(changed); } else if (users.size) reactions[index] = changed;
    else reactions.splice(index, 1);
    message.reactions = reactions;
    this.#tell("updated", { message });
  }

  #clearReactions({ channel_id: channelId, message_id: id }, matches) {
    const message = this.message(channelId, id);
    if (!message) return;
    message.reactions = (message.reactions ?? []).filter((reaction) => !matches(reaction));
    this.#tell("updated", { message });
  }
}

function sameEmoji(a, b) {
  const plain = (emoji) => emoji.id ?? (emoji.name ?? "").replace(/\ufe0f/g, "");
  return plain(a) === plain(b);
}
