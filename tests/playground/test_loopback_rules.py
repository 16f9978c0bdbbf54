"""Messages, mentions, reactions and permissions follow Discord's rules, for people and the bot."""

from __future__ import annotations

import aiohttp
import pytest

from bot.playground.loopback import seed
from bot.playground.loopback.snowflake import created_at
from bot.playground.loopback.world import Permission, World, WorldError
from tests.loopback import ADA, BOT, CODE, GENERAL, GRACE, LINUS, MENTION, Events, api_of, loopback

MESSAGES = f"/channels/{GENERAL}/messages"


@pytest.fixture
def world():
    return World()


def refused(call, *args, **options):
    with pytest.raises(WorldError) as caught:
        call(*args, **options)
    return caught.value.status, caught.value.code


@pytest.mark.parametrize("content", ["", "   ", "\n\t ", None])
async def test_a_blank_message_is_refused(content):
    async with loopback() as server, api_of(server) as api:
        answer = await api("POST", MESSAGES, {"content": content})
        assert (answer.status, answer.body) == (400, {"message": "Cannot send an empty message", "code": 50006})


async def test_a_message_over_2000_code_points_is_refused_with_its_errors():
    async with loopback() as server, api_of(server) as api:
        answer = await api("POST", MESSAGES, {"content": "🎈" * 2001})
        assert (answer.status, answer.body["code"]) == (400, 50035)
        assert answer.body["errors"]["content"]["_errors"][0]["code"] == "BASE_TYPE_MAX_LENGTH"
        assert (await api("POST", MESSAGES, {"content": "🎈" * 2000})).status == 200


async def test_a_message_is_trimmed():
    async with loopback() as server, api_of(server) as api:
        made = await api("POST", MESSAGES, {"content": "\n  a\n b \n"})
        assert made.body["content"] == "a\n b"
        edited = await api("PATCH", f"{MESSAGES}/{made.body['id']}", {"content": "  c  "})
        assert edited.body["content"] == "c"
        blank = await api("PATCH", f"{MESSAGES}/{made.body['id']}", {"content": "  "})
        assert blank.body["code"] == 50006
        assert server.world.messages(GENERAL)[0]["content"] == "c"


async def test_json_that_is_none_is_refused():
    async with loopback() as server, api_of(server) as api:
        answer = await api("POST", MESSAGES, data=b"{", headers={"Content-Type": "application/json"})
        assert (answer.status, answer.body["code"]) == (400, 50109)


@pytest.mark.parametrize("content_type", [None, "application/json", "text/plain; charset=utf-8"])
async def test_the_json_beside_files_is_read_however_it_is_typed(content_type):
    async with loopback() as server, api_of(server) as api:
        form = aiohttp.FormData()
        form.add_field("payload_json", '{"content": "with a file 🎈"}', content_type=content_type)
        form.add_field("files[0]", b"data", filename="a.txt")
        answer = await api("POST", MESSAGES, data=form)
        assert (answer.status, answer.body["content"]) == (200, "with a file 🎈")
        assert [each["filename"] for each in answer.body["attachments"]] == ["a.txt"]


async def test_an_unknown_route_and_a_wrong_token_answer_in_json():
    async with loopback() as server, api_of(server) as api:
        unknown = await api("GET", "/no/such/thing")
        assert (unknown.status, unknown.body) == (404, {"message": "404: Not Found", "code": 0})
        stranger = await api("GET", "/users/@me", headers={"Authorization": "Bot wrong"})
        assert (stranger.status, stranger.body["code"]) == (401, 0)


async def test_the_same_nonce_gives_the_same_message():
    async with loopback() as server, api_of(server) as api:
        body = {"content": "once", "nonce": "n1", "enforce_nonce": True}
        first, second = await api("POST", MESSAGES, body), await api("POST", MESSAGES, {**body, "content": "twice"})
        assert first.body["id"] == second.body["id"]
        assert second.body["content"] == "once"
        assert second.body["nonce"] == "n1"
        assert len(server.world.messages(GENERAL)) == 1
        assert (await api("POST", MESSAGES, {"content": "x", "nonce": "n1"})).body["id"] != first.body["id"]
        other = await api("POST", f"/channels/{CODE}/messages", body)
        assert other.body["id"] != first.body["id"]


async def test_a_nonce_of_a_deleted_message_is_unknown_and_old_ones_are_forgotten():
    moment = [1_700_000_000.0]
    async with loopback(now=lambda: moment[0]) as server, api_of(server) as api:
        body = {"content": "once", "nonce": 12, "enforce_nonce": True}
        first = await api("POST", MESSAGES, body)
        await api("DELETE", f"{MESSAGES}/{first.body['id']}")
        gone = await api("POST", MESSAGES, body)
        assert (gone.status, gone.body["code"]) == (404, 10008)
        moment[0] += 600
        assert (await api("POST", MESSAGES, body)).status == 200


async def test_a_reply_to_nothing_is_refused_or_falls_back():
    async with loopback() as server, api_of(server) as api:
        reference = {"message_id": 1, "fail_if_not_exists": True}
        strict = await api("POST", MESSAGES, {"content": "x", "message_reference": reference})
        assert (strict.status, strict.body["code"]) == (400, 50035)
        plain = await api(
            "POST", MESSAGES, {"content": "x", "message_reference": {"message_id": 1, "fail_if_not_exists": False}}
        )
        assert (plain.status, plain.body["type"]) == (200, 0)
        server.world.deny(GENERAL, BOT, Permission.READ_MESSAGE_HISTORY)
        message = server.world.send(ADA, GENERAL, "x")
        blind = await api("POST", MESSAGES, {"content": "x", "message_reference": {"message_id": message["id"]}})
        assert (blind.status, blind.body["code"]) == (400, 160002)
        assert (await api("GET", MESSAGES)).body == []


async def test_a_reply_shows_what_it_refers_to_until_that_is_deleted():
    async with loopback() as server, api_of(server) as api:
        prompt = server.world.send(ADA, GENERAL, "why")
        reply = await api(
            "POST", MESSAGES, {"content": "because", "message_reference": {"message_id": int(prompt["id"])}}
        )
        assert reply.body["referenced_message"]["content"] == "why"
        assert reply.body["type"] == 19
        server.world.delete(ADA, GENERAL, prompt["id"])
        again = await api("GET", f"{MESSAGES}/{reply.body['id']}")
        assert again.body["referenced_message"] is None


@pytest.mark.parametrize(
    ("allowed", "pinged"),
    [
        (None, [ADA, LINUS]),
        ({"parse": []}, []),
        ({"parse": ["users"]}, [LINUS]),
        ({"parse": [], "users": [ADA]}, []),
        ({"parse": [], "users": [LINUS], "replied_user": True}, [ADA, LINUS]),
        ({"parse": [], "replied_user": True}, [ADA]),
    ],
)
async def test_allowed_mentions_decide_who_is_pinged(allowed, pinged):
    async with loopback() as server, api_of(server) as api:
        prompt = server.world.send(ADA, GENERAL, "why")
        body = {"content": f"<@{LINUS}> @everyone", "message_reference": {"message_id": prompt["id"]}}
        await api("POST", MESSAGES, {**body, "allowed_mentions": allowed} if allowed else body)
        message = server.world.messages(GENERAL)[-1]
        assert sorted(message["pinged"]) == sorted(pinged)
        assert sorted(each["id"] for each in message["mentions"]) == sorted(pinged)
        assert not message["mention_everyone"]  # the bot may not


async def test_contradicting_allowed_mentions_are_refused():
    async with loopback() as server, api_of(server) as api:
        body = {"content": "x", "allowed_mentions": {"parse": ["users"], "users": [ADA]}}
        assert (await api("POST", MESSAGES, body)).body["code"] == 50035


async def test_an_edit_highlights_and_notifies_nobody():
    async with loopback() as server, api_of(server) as api:
        made = await api("POST", MESSAGES, {"content": "x"})
        await api("PATCH", f"{MESSAGES}/{made.body['id']}", {"content": f"<@{ADA}>"})
        message = server.world.messages(GENERAL)[0]
        assert [each["id"] for each in message["mentions"]] == [ADA]
        assert message["pinged"] == []


def test_everyone_is_pinged_by_who_may(world):
    assert world.send(ADA, GENERAL, "@everyone")["mention_everyone"]
    assert set(world.send(ADA, GENERAL, "@here")["pinged"]) == {BOT, GRACE, LINUS}
    assert not world.send(LINUS, GENERAL, "@everyone")["mention_everyone"]


def test_the_bot_can_be_mentioned_by_its_user_and_its_role(world):
    assert world.send(LINUS, GENERAL, MENTION)["mentions"][0]["id"] == BOT
    message = world.send(LINUS, GENERAL, f"<@&{seed.BOT_ROLE_ID}> hi")
    assert message["mention_roles"] == [seed.BOT_ROLE_ID]
    assert message["pinged"] == [BOT]


def test_a_reply_pings_unless_told_not_to(world):
    first = world.send(ADA, GENERAL, "x")
    assert world.send(LINUS, GENERAL, "y", reply_to=first["id"])["pinged"] == [ADA]
    quiet = world.send(LINUS, GENERAL, f"y <@{GRACE}>", reply_to=first["id"], ping_reply=False)
    assert quiet["pinged"] == [GRACE]


def test_stickers_forwards_and_files_are_messages_without_text(world):
    sticker = world.send(ADA, GENERAL, "", sticker_items=[{"id": "1", "name": "wave", "format_type": 1}])
    assert sticker["sticker_items"][0]["name"] == "wave"
    snapshot = {"message": {"content": "forwarded", "type": 0, "embeds": [], "attachments": []}}
    assert world.send(ADA, GENERAL, "", message_snapshots=[snapshot])["message_snapshots"] == [snapshot]
    upload = world.send(ADA, GENERAL, "", attachments=[{"filename": "../a b.txt", "data": b"x"}])
    assert upload["attachments"][0]["filename"] == "a_b.txt"
    assert upload["attachments"][0]["size"] == 1


def test_only_ones_own_messages_can_be_edited_and_deleted_but_moderators_delete(world):
    message = world.send(LINUS, GENERAL, "mine")
    assert refused(world.edit, ADA, GENERAL, message["id"], "yours") == (403, 50005)
    assert refused(world.delete, BOT, GENERAL, message["id"]) == (403, 50013)
    assert world.edit(LINUS, GENERAL, message["id"], "still mine")["edited_timestamp"] is not None
    world.delete(GRACE, GENERAL, message["id"])
    assert world.messages(GENERAL) == []
    assert refused(world.delete, GRACE, GENERAL, message["id"]) == (404, 10008)


def test_reactions_are_counted_and_variation_selectors_make_no_difference(world):
    message = world.send(LINUS, GENERAL, "x")["id"]
    world.react(BOT, GENERAL, message, "⏹️")
    world.react(ADA, GENERAL, message, "⏹")
    world.react(ADA, GENERAL, message, "⏹️")
    (reaction,) = world.messages(GENERAL)[0]["reactions"]
    assert (reaction["count"], reaction["me"], reaction["user_ids"]) == (2, True, [BOT, ADA])
    assert reaction["emoji"] == {"id": None, "name": "⏹️"}
    assert refused(world.unreact, LINUS, GENERAL, message, "⏹", of=ADA) == (403, 50013)
    world.unreact(GRACE, GENERAL, message, "⏹", of=ADA)
    world.unreact(BOT, GENERAL, message, "⏹")
    assert world.messages(GENERAL)[0]["reactions"] == []


@pytest.mark.parametrize("emoji", ["no", "", "a b", "12"])
def test_what_is_no_emoji_is_refused(world, emoji):
    message = world.send(LINUS, GENERAL, "x")["id"]
    assert refused(world.react, ADA, GENERAL, message, emoji) == (400, 10014)


def test_a_message_takes_twenty_reactions(world):
    message = world.send(LINUS, GENERAL, "x")["id"]
    for number in range(20):
        world.react(ADA, GENERAL, message, chr(0x1F600 + number))
    assert refused(world.react, ADA, GENERAL, message, "👍") == (400, 30010)
    world.react(LINUS, GENERAL, message, chr(0x1F600))


def test_without_add_reactions_one_can_join_but_not_begin(world):
    message = world.send(LINUS, GENERAL, "x")["id"]
    world.deny(GENERAL, LINUS, Permission.ADD_REACTIONS)
    assert refused(world.react, LINUS, GENERAL, message, "👍") == (403, 50013)
    world.react(ADA, GENERAL, message, "👍")
    world.react(LINUS, GENERAL, message, "👍")


async def test_all_reactions_are_cleared_by_who_manages_messages():
    async with loopback() as server, api_of(server) as api:
        message = server.world.send(LINUS, GENERAL, "x")["id"]
        server.world.react(LINUS, GENERAL, message, "👍")
        path = f"{MESSAGES}/{message}/reactions"
        assert [each["id"] for each in (await api("GET", f"{path}/%F0%9F%91%8D")).body] == [LINUS]
        assert (await api("DELETE", path)).body["code"] == 50013
        server.world.set_permissions(GENERAL, BOT, allow=Permission.MANAGE_MESSAGES)
        server.limits.off.add("reaction")
        assert (await api("DELETE", f"{path}/%F0%9F%91%8D")).status == 204
        assert (await api("DELETE", path)).status == 204
        assert server.world.messages(GENERAL)[0]["reactions"] == []


def test_overwrites_apply_in_discords_order(world):
    role = seed.MODERATOR_ROLE_ID
    assert refused(world.send, BOT, "1", "x") == (404, 10003)
    world.deny(GENERAL, seed.GUILD_ID, Permission.SEND_MESSAGES)
    assert refused(world.send, LINUS, GENERAL, "x") == (403, 50013)
    world.set_permissions(GENERAL, role, allow=Permission.SEND_MESSAGES)
    world.send(GRACE, GENERAL, "the role may")
    world.deny(GENERAL, GRACE, Permission.VIEW_CHANNEL)
    assert refused(world.send, GRACE, GENERAL, "x") == (403, 50001)
    assert world.permissions(GRACE, GENERAL) == 0
    world.send(ADA, GENERAL, "the owner always may")


def test_the_bot_is_invited_with_what_its_link_asks_for(world):
    (role,) = [each for each in world.state.guild["roles"] if each["id"] == seed.BOT_ROLE_ID]
    assert role["permissions"] == "274878008384"
    assert not world.permissions(BOT, GENERAL) & (Permission.MANAGE_MESSAGES | Permission.MANAGE_THREADS)


def test_files_need_attach_files(world):
    world.deny(GENERAL, LINUS, Permission.ATTACH_FILES)
    upload = [{"filename": "a", "data": b"x"}]
    assert refused(world.send, LINUS, GENERAL, "x", attachments=upload) == (403, 50013)


def test_direct_messages_are_between_two(world):
    channel = world.open_dm(ADA)
    assert world.open_dm(ADA) is channel
    message = world.send(BOT, channel["id"], "hello")
    assert "guild_id" not in message
    assert refused(world.send, LINUS, channel["id"], "x") == (403, 50001)
    assert refused(world.delete, ADA, channel["id"], message["id"]) == (403, 50003)


def test_threads_need_their_own_permission_and_wake_when_written_in(world):
    events = Events(world)
    thread = world.create_thread(LINUS, GENERAL, "talk")
    world.deny(GENERAL, LINUS, Permission.SEND_MESSAGES)
    message = world.send(LINUS, thread["id"], "in threads I may")
    world.set_archived(thread["id"], True)
    assert refused(world.edit, LINUS, thread["id"], message["id"], "x") == (400, 50083)
    assert refused(world.react, LINUS, thread["id"], message["id"], "👍") == (400, 50083)
    world.send(BOT, thread["id"], "woken")
    assert not world.channels[thread["id"]]["thread_metadata"]["archived"]
    assert len(events.of("THREAD_UPDATE")) == 2
    world.set_archived(thread["id"], True, locked=True)
    assert refused(world.send, BOT, thread["id"], "x") == (400, 160005)
    world.send(GRACE, thread["id"], "a moderator may")
    world.deny(GENERAL, LINUS, Permission.SEND_MESSAGES_IN_THREADS)
    assert refused(world.send, LINUS, thread["id"], "x") == (403, 50013)
    assert refused(world.create_thread, LINUS, thread["id"], "x") == (400, 50024)


async def test_a_thread_can_be_woken_over_the_api():
    async with loopback() as server, api_of(server) as api:
        thread = server.world.create_thread(LINUS, GENERAL, "talk")
        server.world.set_archived(thread["id"], True)
        answer = await api("PATCH", f"/channels/{thread['id']}", {"archived": False})
        assert answer.body["thread_metadata"]["archived"] is False
        assert (await api("PATCH", f"/channels/{thread['id']}", {"locked": True})).body["code"] == 50013


def test_a_deleted_channel_is_gone_with_its_threads(world):
    thread = world.create_thread(LINUS, GENERAL, "talk")
    world.delete_channel(GENERAL)
    assert refused(world.send, ADA, GENERAL, "x") == (404, 10003)
    assert refused(world.send, ADA, thread["id"], "x") == (404, 10003)


def test_automod_refuses_a_blocked_word(world):
    world.block_word("Turnip")
    assert refused(world.send, BOT, GENERAL, "a turnip!") == (400, 200000)
    world.send(BOT, GENERAL, "a carrot")


def test_ids_grow_and_tell_their_time():
    world = World(now=lambda: 1_700_000_000.5)
    first, second = (world.send(ADA, GENERAL, "x")["id"] for _ in range(2))
    assert int(first) < int(second)
    assert created_at(first) == 1_700_000_000.5


async def test_previews_are_suppressed_and_shown_by_edits():
    async with loopback() as server, api_of(server) as api:
        made = await api("POST", MESSAGES, {"content": "http://x", "flags": 4})
        assert made.body["flags"] == 4
        path = f"{MESSAGES}/{made.body['id']}"
        assert (await api("PATCH", path, {"content": "http://y"})).body["flags"] == 4
        assert (await api("PATCH", path, {"flags": 0})).body["flags"] == 0


async def test_components_v2_take_no_content():
    async with loopback() as server, api_of(server) as api:
        text = [{"type": 10, "content": "words"}]
        assert (await api("POST", MESSAGES, {"content": "x", "components": text, "flags": 32768})).body["code"] == 50035
        assert (await api("POST", MESSAGES, {"components": text, "flags": 32768})).status == 200


def test_a_listener_that_fails_does_not_fail_the_others(world, caplog):
    def broken(_event, _payload):
        raise RuntimeError("broken")

    world.subscribe(broken)
    events = Events(world)
    world.send(ADA, GENERAL, "x")
    assert events.of("MESSAGE_CREATE")
    assert "A listener failed on MESSAGE_CREATE" in caplog.text
    events.stop()
    world.send(ADA, GENERAL, "y")
    assert len(events.seen) == 1


def test_an_event_keeps_telling_what_was_true(world):
    events = Events(world)
    message = world.send(ADA, GENERAL, "first")
    world.react(ADA, GENERAL, message["id"], "👍")
    world.edit(ADA, GENERAL, message["id"], "second")
    created, updated = events.of("MESSAGE_CREATE")[0], events.of("MESSAGE_UPDATE")[0]
    world.unreact(ADA, GENERAL, message["id"], "👍")
    assert created["content"] == "first"
    assert "reactions" not in created
    assert updated["reactions"][0]["count"] == 1


def test_a_forward_shows_the_message_without_its_author_and_stays_as_it_was(world):
    original = world.send(ADA, GENERAL, "the news", attachments=[{"filename": "a.txt", "data": b"x"}])
    forward = world.forward(LINUS, CODE, GENERAL, original["id"])
    world.edit(ADA, GENERAL, original["id"], "other news")
    [snapshot] = world.message(CODE, forward["id"])["message_snapshots"]
    assert snapshot["message"]["content"] == "the news"
    assert snapshot["message"]["attachments"][0]["filename"] == "a.txt"
    assert "author" not in snapshot["message"]
    assert forward["message_reference"]["type"] == 1
    assert "referenced_message" not in forward
    again = world.forward(LINUS, GENERAL, CODE, forward["id"])
    assert again["message_snapshots"] == [snapshot]


def test_what_one_may_not_read_one_cannot_forward(world):
    original = world.send(ADA, GENERAL, "the news")
    world.deny(GENERAL, LINUS, Permission.READ_MESSAGE_HISTORY)
    assert refused(world.forward, LINUS, CODE, GENERAL, original["id"]) == (400, 160014)


def test_a_forum_post_begins_with_a_message_that_has_its_id(world):
    forum = world.create_channel("help", is_forum=True)
    post = world.create_post(LINUS, forum["id"], "It does not start", "What can I do?")
    [first] = world.messages(post["id"])
    assert first["id"] == post["id"]
    assert first["content"] == "What can I do?"
    assert refused(world.send, ADA, forum["id"], "x") == (400, 50008)
