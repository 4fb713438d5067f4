from genre_mlops.card import as_page, in_cell, in_short


def test_what_is_too_long_for_the_registry_loses_its_last_sections():
    card = "# tunes 1\n\nhead\n" + "".join(f"\n## {i}\n\n{'x' * 90}\n" for i in range(9))
    short = in_short(card, end="[run](#/runs/1)\n", most=400)
    assert len(short) <= 400
    assert short.startswith("# tunes 1")
    assert short.endswith("\n\n[run](#/runs/1)\n")
    assert "## 2" in short
    assert "## 3" not in short
    assert in_short(card, end="it\n").count("\n## ") == 9
    assert len(in_short("y" * 900, end="it\n", most=400)) == 400


def test_a_name_is_no_markdown_and_no_page():
    name = "a|b *c* <script>alert(1)</script> [d](e)"
    page = as_page(f"# tunes 1\n\n| | |\n|---|---|\n| name | {in_cell(name)} |\n")
    assert "<script>" not in page
    assert "<em>" not in page
    assert "<a " not in page
    assert "a|b *c*" in page
