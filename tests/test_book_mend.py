"""What book/mend.py changes in a rendered page."""

from mend import mended


def test_faults_of_the_theme_are_mended():
    page = """<div role="list"><p role="{}">A</p></div><details><summary{}>Show</summary></details>
    <button class="btn search-button-field z" title="Search"{} data-x="y">Search</button>"""
    labels = ' aria-label="Toggle hidden content"', ' aria-label="Search"'
    icons = '\n  <script defer src="../_static/scripts/fontawesome.js?digest=55c"></script>'
    assert mended(page.format("doc-biblioentry", *labels) + icons) == page.format(
        "listitem", "", ""
    )
    others = '<button class="icon" aria-label="Search"></button><script src="b.js"></script>'
    assert mended(others) == others
    fold = '<details><summary{}><span class="toctree-toggle"></span></summary></details>'
    assert mended(fold.format("")) == fold.format(' aria-label="Pages of this part"')


def test_formulas_are_drawn_where_there_are_some():
    loads = """
    <script>window.MathJax = {"options": {}}</script>
    <script defer="defer" src="../_static/tex-svg.js?v=1"></script>"""
    assert mended(f"<head>{loads}</head><p>none</p>") == "<head></head><p>none</p>"
    formula = f'<head>{loads}</head><span class="math notranslate">x</span>'
    assert mended(formula) == formula


def test_only_the_page_of_the_search_loads_its_index():
    loads = "".join(
        f'\n<script src="_static/{name}.js"></script>'
        for name in ("searchtools", "language_data", "searchindex")
    )
    assert mended(f"<p>1</p>{loads}") == "<p>1</p>"
    search = f'<div id="search-results"></div>{loads}'
    assert mended(search) == search


def test_the_lines_of_a_signature_are_no_definitions():
    page = "<dl>\n<dd>a,</dd>\n<dd>b</dd>\n</dl><dl><dt>c</dt><dd>d</dd></dl>"
    lines = '<div class="sig-lines"><div>a,</div>\n<div>b</div>\n</div>'
    assert mended(page) == lines + "<dl><dt>c</dt><dd>d</dd></dl>"


def test_a_stop_follows_the_number_of_a_figure():
    page = '<span class="caption-number">Figure 3{} </span><a>Figure 3 </a>'
    assert mended(page.format("")) == page.format(".")


def test_no_line_ends_between_a_number_and_what_it_belongs_to():
    parted = "<p>In 4 % of n = 1,762 beats,\n eps 0.1 (93 µV at 120\nHz), beta 0.4 and T = 1</p>"
    whole = "<p>In 4_% of n_=_1,762 beats,\n eps_0.1 (93_µV at 120_Hz), beta_0.4 and T_=_1</p>"
    assert mended(parted) == whole.replace("_", "\u00a0")


def test_code_and_what_is_no_number_stay_as_they_are():
    code = '<pre>5 % 3\n<span>eps 1</span></pre><code>n = 1</code><a title="4 % of">5 Views</a>'
    script = "<script>x = 4 % n < 3;</script><!-- 4 % --><p>by 2 masks, steps 5, one % of</p>"
    assert mended(code + script) == code + script
