"""App commands, components and modals work between people in the loopback and a discord.py bot."""

from __future__ import annotations

import asyncio

import discord
import pytest
from discord import app_commands

from bot.playground.loopback.world import Permission, WorldError
from tests.loopback import (
    ADA,
    BOT,
    CODE,
    GENERAL,
    GRACE,
    GUILD,
    LINUS,
    Events,
    api_of,
    bot_in,
    loopback,
    new_bot,
    until,
)


class Buttons(discord.ui.View):
    """Two buttons and a select."""

    @discord.ui.button(label="Stop", custom_id="stop")
    async def stop_it(self, interaction: discord.Interaction, _button: discord.ui.Button) -> None:
        await interaction.response.edit_message(content=f"stopped by {interaction.user.display_name}", view=None)

    @discord.ui.button(label="Form", custom_id="form")
    async def form(self, interaction: discord.Interaction, _button: discord.ui.Button) -> None:
        await interaction.response.send_modal(Form())

    @discord.ui.select(custom_id="pick", options=[discord.SelectOption(label="a"), discord.SelectOption(label="b")])
    async def pick(self, interaction: discord.Interaction, select: discord.ui.Select) -> None:
        await interaction.response.send_message(f"picked {select.values[0]}", ephemeral=True)


class Form(discord.ui.Modal, title="A form"):
    """A modal with one input."""

    text = discord.ui.TextInput(label="Text", custom_id="text")

    async def on_submit(self, interaction: discord.Interaction) -> None:
        await interaction.response.send_message(f"you wrote {self.text.value}")


def commanding_bot():
    """Make a bot with one command of each kind."""
    bot = new_bot()
    tree = bot.tree
    model = app_commands.Group(name="model", description="Models")

    @model.command(name="use", description="Choose")
    async def use(interaction: discord.Interaction, name: str, loud: bool = False) -> None:
        await interaction.response.send_message(f"using {name} {loud}")

    @use.autocomplete("name")
    async def complete(_interaction: discord.Interaction, current: str) -> list[app_commands.Choice[str]]:
        return [app_commands.Choice(name=each, value=each) for each in ("llama3", "qwen3") if each.startswith(current)]

    tree.add_command(model)

    @tree.command(description="Ask once")
    async def ask(interaction: discord.Interaction, prompt: str) -> None:
        await interaction.response.defer()
        for count in (1, 2):
            await interaction.edit_original_response(content=f"{prompt} {count}")
        followup = await interaction.followup.send("more", wait=True)
        await followup.edit(content="more and more")
        gone = await interaction.followup.send("gone", wait=True)
        await gone.delete()

    @tree.command(description="Only for you")
    async def secret(interaction: discord.Interaction) -> None:
        await interaction.response.send_message("psst", ephemeral=True)

    @tree.command(description="Types")
    async def types(
        interaction: discord.Interaction,
        number: app_commands.Range[int, 1, 5],
        ratio: float,
        who: discord.Member,
        where: discord.TextChannel,
        role: discord.Role,
        file: discord.Attachment,
    ) -> None:
        text = (await file.read()).decode()
        await interaction.response.send_message(f"{number} {ratio} {who.display_name} {where.name} {role.name} {text}")

    @tree.command(description="Buttons")
    async def buttons(interaction: discord.Interaction) -> None:
        await interaction.response.send_message("choose", view=Buttons())

    @tree.command(description="Never answers")
    async def mute(_interaction: discord.Interaction) -> None:
        pass

    @tree.command(description="Managers")
    @app_commands.default_permissions(manage_messages=True)
    async def manage(interaction: discord.Interaction) -> None:
        await interaction.response.send_message("managed")

    @tree.context_menu(name="Ask about this")
    async def about(interaction: discord.Interaction, message: discord.Message) -> None:
        await interaction.response.send_message(f"about {message.content} of {message.author.display_name}")

    async def setup_hook() -> None:
        await tree.sync()

    bot.setup_hook = setup_hook
    return bot


def contents(server, channel=GENERAL, viewer=None):
    return [each["content"] for each in server.world.messages(channel, viewer)]


async def test_commands_are_registered_and_keep_their_ids():
    async with loopback() as server:
        async with bot_in(server, commanding_bot()):
            first = {each["name"]: each["id"] for each in server.world.commands}
        assert set(first) == {"model", "ask", "secret", "types", "buttons", "mute", "manage", "Ask about this"}
        async with bot_in(server, commanding_bot()) as bot:
            assert {each["name"]: each["id"] for each in server.world.commands} == first
            assert {each.name for each in await bot.tree.fetch_commands()} == set(first)


async def test_a_subcommand_is_completed_and_run():
    async with loopback() as server, bot_in(server, commanding_bot()):
        world = server.world
        events = Events(world)
        assert await world.autocomplete(ADA, GENERAL, ["model", "use"], {"name": "ll"}, "name") == [
            {"name": "llama3", "value": "llama3"}
        ]
        interaction = world.run_command(LINUS, GENERAL, ["model", "use"], {"name": "qwen3", "loud": True})
        await until(lambda: interaction.state == "answered")
        message = world.messages(GENERAL)[0]
        assert message["content"] == "using qwen3 True"
        assert message["type"] == 20
        assert message["interaction_metadata"]["name"] == "model use"
        assert message["interaction_metadata"]["user"]["id"] == LINUS
        assert [each["state"] for each in events.of("INTERACTION_STATE")] == ["sent", "answered"]


async def test_a_deferred_answer_is_filled_edited_and_followed_up():
    async with loopback() as server, bot_in(server, commanding_bot()):
        events = Events(server.world)
        server.world.run_command(ADA, GENERAL, ["ask"], {"prompt": "why"})
        await until(lambda: events.of("MESSAGE_DELETE"))
        assert contents(server) == ["why 2", "more and more"]
        original, followup = server.world.messages(GENERAL)
        assert events.of("MESSAGE_CREATE")[0]["flags"] == 128
        updates = [each for each in events.of("MESSAGE_UPDATE") if each["id"] == original["id"]]
        assert [each["content"] for each in updates] == ["why 1", "why 2"]
        assert updates[0]["edited_timestamp"] is None
        assert updates[1]["edited_timestamp"] is not None
        assert original["flags"] == 0
        assert followup["message_reference"]["message_id"] == original["id"]
        assert [each["state"] for each in events.of("INTERACTION_STATE")] == ["sent", "deferred", "answered"]


async def test_options_of_every_type_arrive_resolved():
    async with loopback() as server, bot_in(server, commanding_bot()):
        role = server.world.guilds[GUILD]["roles"][1]["id"]
        values = {
            "number": 3, "ratio": "0.5", "who": GRACE, "where": CODE, "role": role,
            "file": {"filename": "a.txt", "data": b"inside"},
        }  # fmt: skip
        server.world.run_command(ADA, GENERAL, ["types"], values)
        await until(lambda: contents(server))
        assert contents(server) == ["3 0.5 Grace code moderator inside"]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"number": 9}, 50035),
        ({"number": "x"}, 50035),
        ({"who": "1"}, 50035),
        ({"ratio": None}, 50035),
        ({"no": 1}, 50035),
    ],
)
async def test_bad_options_are_refused_before_the_bot_sees_them(change, code):
    async with loopback() as server, bot_in(server, commanding_bot()):
        role = server.world.guilds[GUILD]["roles"][1]["id"]
        good = {
            "number": 3,
            "ratio": 0.5,
            "who": GRACE,
            "where": CODE,
            "role": role,
            "file": {"filename": "a", "data": b""},
        }
        with pytest.raises(WorldError) as refused:
            server.world.run_command(ADA, GENERAL, ["types"], {**good, **change})
        assert refused.value.code == code


async def test_an_ephemeral_answer_is_seen_by_its_viewer_alone():
    async with loopback() as server, bot_in(server, commanding_bot()) as bot, api_of(server) as api:
        server.world.run_command(ADA, GENERAL, ["secret"], {})
        await until(lambda: contents(server, viewer=ADA))
        assert contents(server) == []
        assert contents(server, viewer=LINUS) == []
        message = server.world.messages(GENERAL, ADA)[0]
        assert message["flags"] & 64
        assert (await api("GET", f"/channels/{GENERAL}/messages/{message['id']}")).body["code"] == 10008
        assert [each async for each in bot.get_channel(int(GENERAL)).history()] == []
        server.world.delete(ADA, GENERAL, message["id"])
        assert contents(server, viewer=ADA) == []


async def test_buttons_selects_and_modals_are_answered():
    async with loopback() as server, bot_in(server, commanding_bot()):
        world = server.world
        events = Events(world)
        world.run_command(ADA, GENERAL, ["buttons"], {})
        await until(lambda: contents(server))
        message_id = world.messages(GENERAL)[0]["id"]
        world.click(LINUS, GENERAL, message_id, "pick", ["b"])
        await until(lambda: "picked b" in contents(server, viewer=LINUS))
        shown = world.click(LINUS, GENERAL, message_id, "form")
        await until(lambda: shown.state == "modal")
        assert events.of("INTERACTION_STATE")[-1]["modal"]["title"] == "A form"
        world.submit_modal(LINUS, shown.id, {"text": "words"})
        await until(lambda: "you wrote words" in contents(server))
        world.click(LINUS, GENERAL, message_id, "stop")
        await until(lambda: "stopped by Linus" in contents(server))
        assert world.messages(GENERAL)[0]["components"] == []
        with pytest.raises(WorldError):
            world.click(LINUS, GENERAL, message_id, "stop")


async def test_a_message_command_gets_its_target_even_without_the_content_intent():
    bot = commanding_bot()
    bot._connection._intents.message_content = False
    async with loopback(message_content=False) as server, bot_in(server, bot):
        target = server.world.send(LINUS, GENERAL, "hidden words")
        server.world.run_context_menu(ADA, GENERAL, "Ask about this", target["id"])
        await until(lambda: len(contents(server)) == 2)
        answer = server.world.messages(GENERAL)[-1]
        assert answer["content"] == "about hidden words of Linus"
        assert answer["type"] == 23


async def test_commands_work_in_direct_messages():
    async with loopback() as server, bot_in(server, commanding_bot()):
        channel = server.world.open_dm(ADA)
        server.world.run_command(ADA, channel["id"], ["ask"], {"prompt": "why"})
        await until(lambda: contents(server, channel["id"]) == ["why 2", "more and more"])


async def test_who_may_not_use_a_command_is_not_offered_it():
    async with loopback() as server, bot_in(server, commanding_bot()):
        world = server.world
        names = {who: {each["name"] for each in world.usable_commands(who, GENERAL)} for who in (ADA, GRACE, LINUS)}
        assert "manage" in names[ADA]
        assert "manage" in names[GRACE]
        assert "manage" not in names[LINUS]
        with pytest.raises(WorldError):
            world.run_command(LINUS, GENERAL, ["manage"], {})
        world.deny(GENERAL, LINUS, Permission.USE_APPLICATION_COMMANDS)
        assert world.usable_commands(LINUS, GENERAL) == []


async def test_an_unanswered_interaction_fails_in_time_and_is_then_unknown():
    async with loopback(response_seconds=0.05) as server, bot_in(server, commanding_bot()), api_of(server) as api:
        events = Events(server.world)
        interaction = server.world.run_command(ADA, GENERAL, ["mute"], {})
        await until(lambda: interaction.state == "failed")
        assert events.of("INTERACTION_STATE")[-1]["reason"] == "The application did not respond"
        late = await api("POST", f"/interactions/{interaction.id}/{interaction.token}/callback", {"type": 5})
        assert (late.status, late.body["code"]) == (404, 10062)
        hook = await api("PATCH", f"/webhooks/{BOT}/{interaction.token}/messages/@original", {"content": "x"})
        assert (hook.status, hook.body["code"]) == (404, 10015)


async def test_without_a_bot_choices_fail_to_load():
    option = {"name": "p", "description": "P", "type": 3, "autocomplete": True}
    async with loopback(response_seconds=0.03) as server:
        server.world.command_rules.overwrite(
            "",
            [{"name": "ask", "description": "Ask", "options": [option]}],
        )  # fmt: skip
        with pytest.raises(WorldError, match="Loading options failed"):
            await server.world.autocomplete(ADA, GENERAL, ["ask"], {"p": "x"}, "p")
        with pytest.raises(WorldError, match="Loading options failed"):
            await server.world.autocomplete(ADA, GENERAL, ["ask"], {"p": "x"}, "p", timeout=0.01)


async def test_the_callback_tells_the_message_and_takes_one_answer_only():
    async with loopback() as server, api_of(server) as api:
        server.world.command_rules.overwrite("", [{"name": "ask", "description": "Ask"}])
        interaction = server.world.run_command(ADA, GENERAL, ["ask"], {})
        path = f"/interactions/{interaction.id}/{interaction.token}/callback"
        answer = await api("POST", path + "?with_response=1", {"type": 5, "data": {"flags": 64}})
        told = answer.body["interaction"]
        assert answer.status == 200
        assert told["response_message_loading"]
        assert told["response_message_ephemeral"]
        assert answer.body["resource"]["message"]["id"] == told["response_message_id"]
        again = await api("POST", path, {"type": 5})
        assert (again.status, again.body["code"]) == (400, 40060)


async def test_a_plain_callback_has_no_body():
    async with loopback() as server, api_of(server) as api:
        server.world.command_rules.overwrite("", [{"name": "ask", "description": "Ask"}])
        interaction = server.world.run_command(ADA, GENERAL, ["ask"], {})
        path = f"/interactions/{interaction.id}/{interaction.token}/callback"
        answer = await api("POST", path, {"type": 4, "data": {"content": "hi"}})
        assert (answer.status, answer.body) == (204, b"")


async def test_an_expired_token_is_refused_but_the_message_stays_editable():
    async with loopback() as server, api_of(server) as api:
        server.world.command_rules.overwrite("", [{"name": "ask", "description": "Ask"}])
        interaction = server.world.run_command(ADA, GENERAL, ["ask"], {})
        path = f"/interactions/{interaction.id}/{interaction.token}/callback"
        told = await api("POST", path + "?with_response=1", {"type": 4, "data": {"content": "hi"}})
        message_id = told.body["interaction"]["response_message_id"]
        server.world.expire_interaction(interaction.id)
        hook = await api("PATCH", f"/webhooks/{BOT}/{interaction.token}/messages/@original", {"content": "x"})
        assert (hook.status, hook.body["code"]) == (401, 50027)
        channel = await api("PATCH", f"/channels/{GENERAL}/messages/{message_id}", {"content": "still"})
        assert channel.status == 200
        assert contents(server) == ["still"]


async def test_a_response_pings_users_only_unless_told_otherwise():
    async with loopback() as server, api_of(server) as api:
        server.world.command_rules.overwrite("", [{"name": "ask", "description": "Ask"}])
        server.world.set_permissions(GENERAL, BOT, allow=Permission.MENTION_EVERYONE)
        interaction = server.world.run_command(ADA, GENERAL, ["ask"], {})
        path = f"/interactions/{interaction.id}/{interaction.token}/callback"
        await api("POST", path, {"type": 4, "data": {"content": f"<@{LINUS}> @everyone"}})
        message = server.world.messages(GENERAL)[0]
        assert message["pinged"] == [LINUS]
        assert not message["mention_everyone"]


async def test_guild_commands_come_beside_global_ones():
    async with loopback() as server, api_of(server) as api:
        await api("PUT", f"/applications/{BOT}/commands", [{"name": "ask", "description": "Ask"}])
        made = await api(
            "PUT", f"/applications/{BOT}/guilds/{GUILD}/commands", [{"name": "here", "description": "Here"}]
        )
        assert made.body[0]["guild_id"] == GUILD
        assert [each["name"] for each in server.world.usable_commands(ADA, GENERAL)] == ["here", "ask"]
        direct = server.world.open_dm(ADA)["id"]
        assert [each["name"] for each in server.world.usable_commands(ADA, direct)] == ["ask"]


@pytest.mark.parametrize(
    "bad",
    [
        {"name": "Upper", "description": "x"},
        {"name": "a b", "description": "x"},
        {"name": "x" * 33, "description": "x"},
        {"name": "x", "description": ""},
        {"name": "x", "description": "y" * 101},
        {"name": "x", "description": "y", "options": [{"name": "a", "type": 3, "description": "z"}] * 2},
        {
            "name": "x",
            "description": "y",
            "options": [
                {"name": "a", "type": 3, "description": "z"},
                {"name": "b", "type": 3, "description": "z", "required": True},
            ],
        },
        {
            "name": "x",
            "description": "y",
            "options": [{"name": f"o{i}", "type": 3, "description": "z"} for i in range(26)],
        },
    ],
)
async def test_definitions_that_discord_refuses_are_refused(bad):
    async with loopback() as server, api_of(server) as api:
        answer = await api("PUT", f"/applications/{BOT}/commands", [bad])
        assert (answer.status, answer.body["code"]) == (400, 50035)
        assert server.world.commands == []


async def test_a_choice_list_that_is_too_long_is_refused():
    async with loopback() as server, api_of(server) as api:
        option = {"name": "p", "description": "P", "type": 3, "autocomplete": True}
        server.world.command_rules.overwrite("", [{"name": "ask", "description": "Ask", "options": [option]}])
        events = Events(server.world)
        asking = asyncio.create_task(server.world.autocomplete(ADA, GENERAL, ["ask"], {"p": ""}, "p"))
        sent = (await until(lambda: events.of("INTERACTION_CREATE")))[0]
        path = f"/interactions/{sent['id']}/{sent['token']}/callback"
        many = [{"name": str(each), "value": str(each)} for each in range(26)]
        assert (await api("POST", path, {"type": 8, "data": {"choices": many}})).status == 400
        assert (await api("POST", path, {"type": 5})).status == 400
        assert (await api("POST", path, {"type": 8, "data": {"choices": many[:1]}})).status == 204
        assert await asking == many[:1]
