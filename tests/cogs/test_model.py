"""`/model list`, `/model use`, `/model show`: who may, what is kept, what is said."""

from __future__ import annotations

import pytest

from bot.playground.loopback.permissions import Permission
from tests.cogs.conftest import Scene
from tests.scripted_ollama import model_entry, say, status


async def use(scene: Scene, name: str, **options):
    return await options.get("by", scene.ada).slash(options.get("at", scene.channel), "model use", name=name)


def chosen(scene: Scene, channel=None):
    return scene.bot.store.channel_model((channel or scene.channel).id)


async def test_the_list_shows_what_is_installed_and_who_answers_to_the_asker_alone(scene: Scene):
    result = await scene.ada.slash(scene.channel, "model list")
    assert result.ephemeral
    first, current, other = result.content.splitlines()
    assert first == "**2 models installed**"
    assert current == "- `llama3.2:latest` · 3.2B · Q4\\_K\\_M · 2.0 GB · chat, tools ← **answers here**"
    assert other.startswith("- `qwen3:8b` · ")
    assert "answers here" not in other


async def test_the_list_marks_the_channels_own_choice(scene: Scene):
    await use(scene, "qwen3:8b")
    here = (await scene.ada.slash(scene.channel, "model list")).content
    there = (await scene.ada.slash(scene.other, "model list")).content
    assert next(line for line in here.splitlines() if "answers here" in line).startswith("- `qwen3:8b`")
    assert next(line for line in there.splitlines() if "answers here" in line).startswith("- `llama3.2:latest`")


async def test_hundreds_of_models_fit_one_message(scene: Scene):
    scene.ollama.models = [model_entry(f"someone/a-model-with-a-name-{i}:q4") for i in range(400)]
    content = (await scene.ada.slash(scene.channel, "model list")).content
    assert len(content) <= 2000
    shown = content.count("\n- ")
    assert f"… and {400 - shown} more" in content


async def test_an_empty_server_is_told_in_words(scene: Scene):
    scene.ollama.models = []
    for command in ("model list", "model show"):
        assert "ollama pull" in (await scene.ada.slash(scene.channel, command)).content


@pytest.mark.parametrize("command", ["model list", "model show"])
async def test_ollama_down_is_said(scene: Scene, command: str):
    await scene.ollama.stop()
    result = await scene.ada.slash(scene.channel, command)
    assert result.ephemeral
    assert result.content.startswith("⚠️ I cannot reach Ollama")


async def test_a_choice_is_announced_without_a_ping_and_holds_in_that_channel_only(scene: Scene):
    result = await use(scene, "qwen3:8b")
    assert not result.ephemeral
    assert result.content == "`qwen3:8b` answers in this channel from the next message on (chosen by Ada)."
    assert scene.sent("callback")[-1]["data"]["allowed_mentions"] == {"parse": []}
    assert await chosen(scene) == "qwen3:8b"
    assert await chosen(scene, scene.other) is None


async def test_a_choice_survives_a_restart(scene: Scene):
    await use(scene, "qwen3:8b")
    await scene.start()
    content = (await scene.ada.slash(scene.channel, "model list")).content
    assert next(line for line in content.splitlines() if "answers here" in line).startswith("- `qwen3:8b`")


async def test_a_name_without_its_tag_is_stored_as_ollama_lists_it(scene: Scene):
    await use(scene, " LLAMA3.2 ")
    assert await chosen(scene) == "llama3.2:latest"


async def test_what_is_not_installed_is_refused_with_what_was_meant(scene: Scene):
    result = await use(scene, "qwen")
    assert result.ephemeral
    assert "`qwen` is not installed. Did you mean `qwen3:8b`?" in result.content
    assert "`ollama pull qwen`" in result.content
    assert await chosen(scene) is None


async def test_a_model_that_only_embeds_is_refused_in_words(scene: Scene):
    scene.ollama.models.append(model_entry("nomic-embed-text:latest", capabilities=["embedding"]))
    result = await use(scene, "nomic-embed-text")
    assert result.ephemeral
    assert "cannot answer questions (it does: embedding)" in result.content
    assert await chosen(scene) is None


async def test_with_ollama_down_nothing_is_stored_that_nobody_checked(scene: Scene):
    await use(scene, "llama3.2")
    await scene.ollama.stop()
    result = await use(scene, "qwen3:8b")
    assert "I cannot reach Ollama" in result.content
    assert await chosen(scene) == "llama3.2:latest"


async def test_a_vanished_choice_is_said_in_the_list(scene: Scene):
    await use(scene, "qwen3:8b")
    scene.ollama.models = [model_entry("llama3.2:latest")]
    content = (await scene.ada.slash(scene.channel, "model list")).content
    assert "`qwen3:8b`, which is not installed" in content
    content = (await scene.ada.slash(scene.channel, "model show")).content
    assert "`qwen3:8b` is not installed" in content


async def test_who_may_not_write_there_may_not_choose(scene: Scene):
    quiet = scene.place("announcements", scene.linus, deny=Permission.SEND_MESSAGES)
    result = await use(scene, "qwen3:8b", by=scene.linus, at=quiet)
    assert result.ephemeral
    assert result.content == "Only those who can write here can use this command."
    assert await chosen(scene, quiet) is None
    assert not (await use(scene, "qwen3:8b", by=scene.ada, at=quiet)).ephemeral


async def test_it_works_in_a_dm_for_that_dm(scene: Scene):
    result = await use(scene, "qwen3:8b", at=scene.ada.dm)
    assert "`qwen3:8b` answers" in result.content
    assert await chosen(scene, scene.ada.dm) == "qwen3:8b"


async def test_show_tells_all_about_the_model_that_answers(scene: Scene):
    scene.ollama.details["llama3.2:latest"] = {
        "license": "\nLLAMA 3.2 COMMUNITY LICENSE\nmore",
        "parameters": 'temperature                    0.7\nstop                           "<|eot_id|>"',
        "system": "You are terse.",
        "details": model_entry("x")["details"],
        "model_info": {"general.architecture": "llama", "llama.context_length": 4096},
        "capabilities": ["completion", "vision"],
        "modified_at": "2026-08-20T17:37:44Z",
    }
    scene.ollama.models[0]["details"]["context_length"] = 4096
    scene.ollama.running = [
        {
            "name": "llama3.2:latest",
            "size": 4_000_000_000,
            "size_vram": 3_000_000_000,
            "context_length": 4096,
            "expires_at": "2318-01-01T00:00:00Z",
        }
    ]
    result = await scene.ada.slash(scene.channel, "model show")
    assert result.ephemeral
    text = result.content
    for words in (
        "`llama3.2:latest`** · answers in this channel",
        "- Kind: llama · 3.2B parameters",
        "- Size: 2.0 GB",
        "- Installed: 2026-08-20",
        "- Window: made for 4,096 tokens, asked with 4,096",
        "- Can do: chat, vision",
        "- Loaded now: yes, 4.0 GB of memory, 75% on the GPU, window 4,096, stays loaded",
        "temperature 0.7",
        "- System prompt: it has one of its own",
        "- Licence: LLAMA 3.2 COMMUNITY LICENSE",
    ):
        assert words in text


async def test_show_names_the_window_that_will_be_sent(scene: Scene):
    text = (await scene.ada.slash(scene.channel, "model show", name="qwen3:8b")).content
    assert "made for 131,072 tokens, asked with 8,192" in text
    assert "answers in this channel" not in text
    assert "Loaded now: no" in text


async def test_show_does_without_ps(scene: Scene):
    scene.ollama.override("/api/ps", status(404, "404 page not found", "text/plain"))
    assert "Kind: llama" in (await scene.ada.slash(scene.channel, "model show")).content


async def suggestions(scene: Scene, typed: str, command: str = "model use") -> list[str]:
    return [choice["value"] for choice in await scene.ada.autocomplete(scene.channel, command, "name", typed)]


async def test_suggestions_match_any_part_of_the_name_current_first(scene: Scene):
    scene.ollama.models = [model_entry(name) for name in ("aya:8b", "yi-8b:latest", "qwen3:8b", "phi4:latest")]
    assert await suggestions(scene, "8B") == ["aya:8b", "yi-8b:latest", "qwen3:8b"]
    await use(scene, "qwen3:8b")
    assert await suggestions(scene, "8B") == ["qwen3:8b", "aya:8b", "yi-8b:latest"]
    assert await suggestions(scene, "nothing like it") == []


async def test_only_models_that_can_answer_are_suggested_for_use(scene: Scene):
    scene.ollama.models.append(model_entry("nomic-embed-text:latest", capabilities=["embedding"]))
    assert await suggestions(scene, "embed") == []
    assert await suggestions(scene, "embed", "model show") == ["nomic-embed-text:latest"]


async def test_suggestions_stay_within_discords_limits(scene: Scene):
    names = [f"m{i}:latest" for i in range(60)] + ["x" * 101, "y" * 100]
    scene.ollama.models = [model_entry(name) for name in names]
    choices = await scene.ada.autocomplete(scene.channel, "model use", "name", "")
    assert len(choices) == 25
    [long] = await scene.ada.autocomplete(scene.channel, "model use", "name", "yyy")
    assert len(long["value"]) == 100
    assert 1 <= len(long["name"]) <= 100


LONG = [
    "hf.co/some-organisation/" + "a-model-with-a-long-name-" * 5 + f"GGUF:{quantization}"
    for quantization in ("Q4_K_M", "Q8_0")
]


@pytest.mark.parametrize("name", [*LONG, "hf.co/" + "z" * 400 + ":latest"], ids=len)
async def test_a_name_longer_than_discord_takes_can_be_chosen_and_is_shown_whole(scene: Scene, name: str):
    scene.ollama.models = [model_entry(each) for each in [*LONG, name]]
    choices = await scene.ada.autocomplete(scene.channel, "model use", "name", name[:40])
    picked = next(choice for choice in choices if name[-10:] in choice["name"])
    assert len(picked["value"]) <= 100
    assert f"`{name}` answers" in (await use(scene, picked["value"])).content
    assert await chosen(scene) == name
    assert name in (await scene.ada.slash(scene.channel, "model show")).content
    assert name in (await scene.ada.slash(scene.channel, "model show", name=picked["value"])).content
    scene.ollama.enqueue(say("Here."))
    await scene.ada.slash(scene.channel, "ask", prompt="Who?", model=picked["value"])
    assert scene.ollama.chats[-1].json["model"] == name


async def test_an_embedder_that_no_list_tells_is_refused_in_words(scene: Scene):
    entry = model_entry("embeddinggemma:latest")
    del entry["capabilities"]
    scene.ollama.models.append(entry)
    scene.ollama.details["embeddinggemma:latest"] = {"capabilities": ["embedding"], "details": {}}
    result = await use(scene, "embeddinggemma")
    assert "cannot answer questions (it does: embedding)" in result.content
    assert await chosen(scene) is None


async def test_suggestions_come_from_memory_with_ollama_down(scene: Scene):
    assert await suggestions(scene, "q") == ["qwen3:8b"]
    await scene.ollama.stop()
    scene.bot.catalog._asked_at = float("-inf")
    assert await suggestions(scene, "q") == ["qwen3:8b"]


async def test_no_suggestions_but_an_answer_when_ollama_was_never_there(scene: Scene):
    await scene.ollama.stop()
    assert await suggestions(scene, "q") == []


async def test_a_hostile_server_cannot_break_out_of_the_list(scene: Scene):
    evil = "`**@everyone** <@1>\n# big\u202e" + "x" * 5000
    scene.ollama.models = [
        model_entry(evil, details={"parameter_size": "# `x` @everyone\n>>> a", "quantization_level": "*" * 3000})
    ]
    content = (await scene.ada.slash(scene.channel, "model list")).content
    assert len(content) <= 2000
    line = content.splitlines()[1]
    assert line.count("`") - line.count("\\`") == 2
    assert "\n# big" not in content
    assert "\u202e" not in content
