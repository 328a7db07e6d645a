/** The page's one style sheet: light and dark, wide and narrow, no images, no fonts, no script. */
export const STYLE = `:root{color-scheme:light dark;--bg:#f7f8fa;--card:#fff;--ink:#1b2430;--soft:#5d6b7c;--line:#dfe4ea;--accent:#0b66c3;--chip:#eaf1f9;--warn:#a33a00}
@media(prefers-color-scheme:dark){:root{--bg:#12161c;--card:#1a2029;--ink:#e4e9f0;--soft:#97a4b5;--line:#2c3542;--accent:#6db3f8;--chip:#213246;--warn:#ffa36b}}
*{box-sizing:border-box}body{margin:0;background:var(--bg);color:var(--ink);font:15px/1.5 system-ui,-apple-system,"Segoe UI",sans-serif}
a{color:var(--accent);text-decoration:none}a:hover{text-decoration:underline}
header{border-bottom:1px solid var(--line);background:var(--card)}header>div,main,footer{max-width:62rem;margin:0 auto;padding:.8rem 1.2rem}
header>div{display:flex;align-items:baseline;justify-content:space-between;gap:.3rem 1rem;flex-wrap:wrap}.brand{font-weight:650;color:var(--ink)}
h1{font-size:1.35rem;line-height:1.25;margin:1.2rem 0 .9rem;overflow-wrap:anywhere}h2{font-size:.78rem;letter-spacing:.06em;text-transform:uppercase;color:var(--soft);margin:1.1rem 0 .35rem}
.soft{color:var(--soft)}.small{font-size:.86rem}code{font:.86em ui-monospace,SFMono-Regular,Menlo,monospace;overflow-wrap:anywhere}
.card{background:var(--card);border:1px solid var(--line);border-radius:10px;overflow:hidden;padding:0;margin:0;list-style:none}
.row{display:grid;grid-template-columns:minmax(0,1fr) 6rem 6.5rem 10.5rem;gap:.2rem 1rem;align-items:baseline;padding:.65rem 1.1rem}
.card>*+*{border-top:1px solid var(--line)}.row .name{font-weight:600;overflow-wrap:anywhere}.n{text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums}.when{text-align:right;white-space:nowrap}
summary{cursor:pointer;list-style:none}summary::-webkit-details-marker{display:none}summary .name::before{content:"";display:inline-block;width:.42em;height:.42em;margin:0 .7em .12em .1em;border:solid var(--soft);border-width:0 2px 2px 0;transform:rotate(-45deg)}
details[open]>summary .name::before{transform:rotate(45deg)}summary:hover{background:var(--chip)}:focus-visible{outline:2px solid var(--accent);outline-offset:-2px}
.inside{padding:.7rem 1.1rem 1.1rem 2.3rem}.pull{display:block;background:var(--chip);border-radius:6px;padding:.5rem .7rem;user-select:all}
.parts{width:100%;border-collapse:collapse}.parts td{padding:.3rem .8rem .3rem 0;border-top:1px solid var(--line);vertical-align:middle}.parts tr:first-child td{border-top:0}.parts td:last-child{padding-right:0}
.parts code{font-size:.76rem}.parts .what{white-space:normal;overflow-wrap:anywhere;width:22%}.parts .share{width:7rem}meter{width:100%;height:.55rem;vertical-align:middle}
.chip{display:inline-block;background:var(--chip);border-radius:99px;padding:0 .6em;font-size:.8rem;margin-left:.5em;font-weight:400}.missing{color:var(--warn)}
dl{display:grid;grid-template-columns:max-content minmax(0,1fr);gap:.1rem 1rem;margin:0}dt{color:var(--soft)}dd{margin:0;overflow-wrap:anywhere}.empty{padding:1.6rem 1.1rem;text-align:center;color:var(--soft)}
@media(max-width:42rem){header>div,main,footer{padding-left:.8rem;padding-right:.8rem}.row{grid-template-columns:minmax(0,1fr) max-content;padding:.65rem .8rem}.row .when{grid-column:2}.row .tags{grid-column:1;text-align:left}.row .name{grid-column:1/2}
.inside{padding:.6rem .8rem .9rem}.chip{margin:.2rem 0 0}.parts,.parts tbody,.parts tr{display:block}.parts tr{padding:.45rem 0;border-top:1px solid var(--line)}.parts tr:first-child{border-top:0}.parts td{display:inline-block;border:0;padding:0 .6rem 0 0}.parts .digest{display:block}.parts .what{width:auto}dl{grid-template-columns:1fr}dd{margin-bottom:.35rem}}`;
