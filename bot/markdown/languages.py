"""The languages of code that models name behind a fence, and how a file of each ends."""

from __future__ import annotations

EXTENSIONS = {
    "bash": "sh", "c": "c", "c#": "cs", "c++": "cpp", "clojure": "clj", "cpp": "cpp", "cs": "cs", "csharp": "cs",
    "css": "css", "csv": "csv", "dart": "dart", "diff": "diff", "dockerfile": "dockerfile", "elixir": "ex",
    "erlang": "erl", "fortran": "f90", "fsharp": "fs", "go": "go", "golang": "go", "groovy": "groovy", "haskell": "hs",
    "html": "html", "ini": "ini", "java": "java", "javascript": "js", "js": "js", "json": "json", "jsx": "jsx",
    "julia": "jl", "kotlin": "kt", "latex": "tex", "lisp": "lisp", "lua": "lua", "makefile": "mk", "markdown": "md",
    "matlab": "m", "md": "md", "nim": "nim", "objectivec": "m", "ocaml": "ml", "perl": "pl", "php": "php",
    "powershell": "ps1", "ps1": "ps1", "py": "py", "python": "py", "python3": "py", "r": "r", "rb": "rb", "ruby": "rb",
    "rs": "rs", "rust": "rs", "scala": "scala", "scss": "scss", "sh": "sh", "shell": "sh", "sql": "sql", "svg": "svg",
    "swift": "swift", "tex": "tex", "toml": "toml", "ts": "ts", "tsx": "tsx", "typescript": "ts", "vb": "vb",
    "vue": "vue", "xml": "xml", "yaml": "yaml", "yml": "yml", "zig": "zig", "zsh": "sh",
    "bat": "bat", "cmd": "bat", "console": "txt", "graphql": "graphql", "hcl": "tf", "http": "txt", "json5": "json",
    "jsonc": "json", "log": "txt", "mdx": "md", "nginx": "conf", "objective-c": "m", "output": "txt", "plain": "txt",
    "plaintext": "txt", "proto": "proto", "pycon": "txt", "sass": "sass", "shell-session": "txt", "svelte": "svelte",
    "terraform": "tf", "text": "txt", "txt": "txt", "typescriptreact": "tsx", "vbnet": "vb",
}  # fmt: skip
