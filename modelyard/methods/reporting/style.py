"""The page's style: light and dark by the reader's system, phone to desktop, print. Plain CSS, no fonts to fetch."""

FONTS = (
    'Inter, -apple-system, BlinkMacSystemFont, "Segoe UI", Roboto, "Helvetica Neue", Arial, "PingFang SC", '
    '"Hiragino Sans GB", "Microsoft YaHei", "Noto Sans CJK SC", "Source Han Sans SC", sans-serif'
)
MONO = 'ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace'

LIGHT = """
 --page:#f6f6f3; --card:#fff; --ink:#1b2027; --soft:#5b6470; --faint:#8b929c; --rule:#e4e4de; --wash:#f1f1ec;
 --accent:#2453c9; --accent-soft:#2453c926; --good:#13713f; --good-wash:#e3f3e9; --warn:#8a5a00;
   --warn-wash:#fbf0d9;
 --bad:#b3261e; --bad-wash:#fbe7e5; --s0:#2453c9; --s1:#c2571a; --s2:#0d7f76; --s3:#9a3d8f; --s4:#7a6a12;
   --s5:#5a6472;
 --s9:#7d8693; --deep:#fff;
"""

DARK = """
 --page:#101317; --card:#181c22; --ink:#e8eaed; --soft:#a5adb8; --faint:#7b8490; --rule:#2a3038; --wash:#1f242b;
 --accent:#86a8ff; --accent-soft:#86a8ff33; --good:#6fd39b; --good-wash:#143324; --warn:#f0c05f;
   --warn-wash:#392c10;
 --bad:#ff8f86; --bad-wash:#3d1a17; --s0:#86a8ff; --s1:#ff9d5c; --s2:#4fd0c3; --s3:#e38ad8; --s4:#d6c14d;
   --s5:#a9b2be;
 --s9:#8993a1; --deep:#0d1220;
"""

BASE = f"""
*{{box-sizing:border-box}}
html{{-webkit-text-size-adjust:100%;text-size-adjust:100%}}
body{{margin:0;background:var(--page);color:var(--ink);font:16px/1.6 {FONTS};overflow-wrap:break-word;
  font-variant-ligatures:no-contextual}}
main{{max-width:1120px;margin:0 auto;padding:0 20px 64px}}
h1,h2,h3,h4,p,ul,dl,figure{{margin:0}} ul{{padding:0;list-style:none}}
h1{{font-size:clamp(1.75rem,1.3rem + 2.2vw,2.75rem);line-height:1.15;letter-spacing:-.02em;font-weight:680;
  overflow-wrap:anywhere}}
h2{{font-size:1.3rem;line-height:1.3;letter-spacing:-.01em;font-weight:660}}
h3{{font-size:1rem;font-weight:640;margin:22px 0 8px}} h4{{font-size:.9rem;font-weight:640;margin:14px 0 4px}}
code{{font:.86em/1.5 {MONO};overflow-wrap:anywhere}} small{{font-size:.82em;color:var(--soft)}}
a{{color:var(--accent)}}
.vh{{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%);white-space:nowrap}}
"""

LANGUAGES = """
.bar{max-width:1120px;margin:0 auto;padding:14px 20px 0;display:flex;justify-content:space-between;
  align-items:center;gap:12px}
.brand{font-weight:680;font-size:.9rem;letter-spacing:.01em;color:var(--soft)}
.switch{display:inline-flex;border:1px solid var(--rule);border-radius:999px;background:var(--card);padding:3px}
.switch label{padding:3px 14px;border-radius:999px;font-size:.85rem;cursor:pointer;color:var(--soft)}
main[lang]{display:none}
#lang-en:checked~main[lang=en],#lang-zh:checked~main[lang|=zh]{display:block}
#lang-en:checked~.bar label[for=lang-en],#lang-zh:checked~.bar label[for=lang-zh]{background:var(--ink);
  color:var(--card)}
input:focus-visible~.bar .switch{outline:2px solid var(--accent);outline-offset:2px}
"""

HERO = """
.hero{padding:34px 0 10px;display:grid;gap:22px}
.kicker{font-size:.8rem;font-weight:640;color:var(--accent);letter-spacing:.04em;margin-bottom:8px}
.version{color:var(--soft);margin-top:6px}
.verdict{display:flex;flex-wrap:wrap;align-items:center;gap:8px 14px;padding:12px 16px;border-radius:12px;
  background:var(--wash);color:var(--soft)}
.verdict span{color:var(--ink);flex:1 1 14em} .badge{display:inline-flex;align-items:center;gap:8px;
  font-weight:680;font-size:1.05rem}
.lamp{width:.7em;height:.7em;border-radius:50%;background:currentColor}
.released{background:var(--good-wash);color:var(--good)} .refused{background:var(--bad-wash);color:var(--bad)}
.draft{background:var(--warn-wash);color:var(--warn)}
.figures{display:grid;grid-template-columns:repeat(auto-fit,minmax(210px,1fr));gap:14px}
.figure{background:var(--card);border:1px solid var(--rule);border-radius:14px;padding:16px 18px 14px;min-width:0}
.what{font-size:.88rem;color:var(--soft)} .big{font-size:2.05rem;line-height:1.25;font-weight:660;
  letter-spacing:-.02em;font-variant-numeric:tabular-nums;white-space:nowrap}
.figure .spark{width:100%;height:16px;margin:6px 0 4px} .basis{font-size:.8rem;line-height:1.45;color:var(--soft);
  font-variant-numeric:tabular-nums}
.strip{display:flex;flex-wrap:wrap;gap:10px 30px} .strip dt{font-size:.78rem;color:var(--soft)}
  .strip dd{margin:0;font-size:.95rem;overflow-wrap:anywhere}
.strip>div{min-width:0;max-width:100%}
nav{position:sticky;top:0;z-index:2;background:var(--page);border-bottom:1px solid var(--rule);
  margin:14px -20px 0;padding:0 20px;overflow-x:auto;scrollbar-width:none}
nav ul{display:flex;gap:20px;white-space:nowrap} nav a{display:block;padding:10px 0;font-size:.88rem;
  color:var(--soft);text-decoration:none} nav a:hover{color:var(--accent)}
"""

SECTIONS = """
section{padding:34px 0 6px;display:grid;gap:16px;grid-template-columns:minmax(0,1fr);scroll-margin-top:34px}
section+section{border-top:1px solid var(--rule);margin-top:30px}
.lead{color:var(--soft);max-width:70ch;margin-top:-10px}
.chart{display:flex;flex-direction:column} .chart>.scroll{margin-block:auto}
.note{font-size:.82rem;line-height:1.5;color:var(--soft);
  margin-top:8px}
.columns{display:grid;grid-template-columns:minmax(0,1fr);gap:20px;align-items:start}
.charts{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,320px),1fr));gap:16px;
  align-items:stretch}
@media (min-width:820px){.charts.two{grid-template-columns:repeat(2,minmax(0,1fr))}}
.halves{display:grid;gap:20px;grid-template-columns:repeat(auto-fit,minmax(min(100%,400px),1fr));align-items:start}
.halves h3{margin-top:0} .above{display:grid;grid-template-columns:minmax(0,1fr);gap:10px}
.stack{display:grid;gap:16px;grid-template-columns:repeat(auto-fit,minmax(min(100%,330px),1fr));align-items:start}
@media (min-width:900px){.columns:has(.stack){grid-template-columns:minmax(0,1.25fr) minmax(0,1fr)}
  .columns .stack{grid-template-columns:minmax(0,1fr)}}
.chart{background:var(--card);border:1px solid var(--rule);border-radius:14px;padding:16px 16px 14px;min-width:0}
figcaption{font-weight:640;font-size:.95rem;margin-bottom:10px}
.scroll{overflow-x:auto;background:var(--card);border:1px solid var(--rule);border-radius:14px;max-width:100%}
.chart .scroll{border:0;border-radius:0;background:none}
table{border-collapse:collapse;width:100%;font-size:.9rem;font-variant-numeric:tabular-nums}
th{text-align:left;font-weight:600;font-size:.8rem;color:var(--soft);white-space:nowrap} th,td{padding:9px 14px;
  vertical-align:middle}
thead th{border-bottom:1px solid var(--rule)} tbody tr+tr td{border-top:1px solid var(--rule)}
  .n{text-align:right;white-space:nowrap}
td code{overflow-wrap:break-word} td .digest,.gate td>code{white-space:nowrap} td{max-width:36em}
td:last-child:not(.n){min-width:7em} .cell .spark{max-width:none}
.gate td:last-child,.settings td:last-child{min-width:13em}
td .label{width:max-content;max-width:16em}
.claimed{display:inline-grid;line-height:1.4} .claim{color:var(--faint);font-size:.74rem;white-space:nowrap}
.num{font-weight:620;white-space:nowrap} .cell{display:inline-grid;gap:0;white-space:nowrap}
  .cell.row{grid-auto-flow:column;align-items:center;gap:10px}
.cell small{font-size:.76rem} .cell b{font-weight:600;min-width:4.2em}
.ok,.bad,.few{display:inline-block;border-radius:999px;padding:1px 10px;font-size:.82rem;font-weight:620;
  white-space:nowrap}
.ok{background:var(--good-wash);color:var(--good)} .bad{background:var(--bad-wash);color:var(--bad)}
  .few{background:var(--warn-wash);color:var(--warn);font-size:.74rem}
.label{overflow-wrap:anywhere;display:inline-block;max-width:24em} .quiet{color:var(--faint)}
.prose{display:grid;gap:16px 40px;grid-template-columns:repeat(auto-fit,minmax(min(100%,360px),1fr))}
  .prose dt{font-size:.85rem;color:var(--soft);font-weight:600} .prose dd{margin:0;white-space:pre-line;
  overflow-wrap:anywhere}
details{border:1px solid var(--rule);border-radius:12px;background:var(--card);min-width:0}
  details+details{margin-top:8px}
summary{cursor:pointer;padding:11px 16px;font-size:.92rem;overflow-wrap:anywhere}
  details>:not(summary){margin:0 16px 16px} details>.scroll{margin:0;border:0;border-top:1px solid var(--rule);
  border-radius:0 0 12px 12px}
.limits{display:grid;gap:10px;max-width:80ch} .limits li{padding-left:24px;position:relative}
  .limits li::before{content:"";position:absolute;left:4px;top:.62em;width:8px;height:8px;border-radius:50%;
  border:2px solid var(--warn)}
.notes{font-size:.9rem;color:var(--soft);display:grid;gap:3px;padding-left:14px;border-left:2px solid var(--rule)}
  .notes li{overflow-wrap:anywhere}
.commands{display:grid;gap:12px} .commands li{display:grid;gap:4px} .commands span{font-size:.9rem;
  color:var(--soft)}
.command{background:var(--wash);border-radius:8px;padding:7px 12px;justify-self:start;max-width:100%;
  overflow-wrap:anywhere}
.mistakes{display:grid;gap:14px;grid-template-columns:repeat(auto-fit,minmax(min(100%,300px),1fr))}
  details>.mistakes{padding-top:4px}
.mistake{background:var(--card);border:1px solid var(--rule);border-radius:14px;padding:14px 16px;
  font-size:.86rem;color:var(--soft);display:grid;gap:8px;align-content:space-between;min-width:0}
.mistake b{color:var(--ink);font-weight:600} .quote{color:var(--ink);font-size:.94rem;line-height:1.55;
  white-space:pre-line;overflow-wrap:anywhere}
.stacked{display:flex;flex-wrap:wrap;gap:14px 4px} .part{flex:var(--share) 1 0;min-width:min(100%,9.5em);
  font-size:.86rem;color:var(--soft);border-top:8px solid var(--faint);border-radius:4px;padding-top:8px}
.part b{color:var(--ink);display:block;font-weight:620} .part .key{display:none}
.fact{font-size:.95rem}
footer{margin-top:44px;padding-top:16px;border-top:1px solid var(--rule);font-size:.82rem;color:var(--soft);
  overflow-wrap:anywhere}
"""

CHARTS = f"""
svg{{display:block;font-family:{FONTS}}} .plot{{width:100%;height:auto;overflow:visible;margin:0 auto}}
  .graph{{margin:0}}
.spark{{max-width:100%}} .tick{{font-size:10.5px;fill:var(--soft)}} .name{{font-size:11px;fill:var(--soft)}}
.row{{font-size:12.5px;fill:var(--ink)}} .row.strong{{font-weight:660}} .row.value{{fill:var(--soft);
  font-size:12px}} text.code{{font:11px {MONO};fill:var(--faint)}}
.grid{{stroke:var(--rule);stroke-width:1}} .axis{{stroke:var(--faint);stroke-width:1}}
  .chance{{stroke:var(--faint);stroke-width:1.2;stroke-dasharray:4 4}}
.line{{fill:none;stroke-width:1.8;stroke-linejoin:round;stroke-linecap:round}} .whisker{{stroke-width:1.8}}
.track{{fill:var(--rule)}} .point{{fill:var(--accent)}} .span{{fill:var(--accent);fill-opacity:.38}}
  .span.s9{{fill:var(--s9);fill-opacity:.35}}
.bound{{fill:var(--ink)}} .rail{{fill:var(--wash)}} .fill,.column{{fill:var(--accent)}} .amount{{fill:var(--s9);
  fill-opacity:.35}}
.edge{{fill:none;stroke:var(--s9);stroke-width:1.6}} .stop{{fill:var(--card);stroke:var(--accent);
  stroke-width:2.4}} .stop.strong{{fill:var(--accent)}}
.graph{{max-width:560px}} .frame{{fill:none;stroke:var(--rule)}} .right{{fill:var(--s0)}} .wrong{{fill:var(--s1)}}
.legend{{display:flex;flex-wrap:wrap;gap:4px 16px;margin-top:8px;font-size:.82rem;color:var(--soft)}}
  .legend li{{display:flex;align-items:center;gap:7px}}
.key{{width:14px;height:3px;border-radius:2px;background:currentColor;flex:none}}
.heat{{width:auto;margin:0 auto;border-collapse:separate;border-spacing:3px}} .heat td{{border:0!important;
  text-align:center;min-width:64px;height:52px;padding:4px 8px;border-radius:8px;
  background:color-mix(in srgb,var(--s0) calc(var(--shade,0)*100%),var(--wash));line-height:1.25}}
.heat.large td:not(.corner){{min-width:92px;height:74px;font-size:1.02rem}}
.heat th{{padding:4px 6px;color:var(--ink);font-weight:560}} .heat th[scope=row]{{text-align:right}}
  .heat th[scope=col]{{text-align:center}}
.heat b,.heat small{{display:block}} .heat b{{font-weight:620}} .heat .deep,.heat .deep small{{color:var(--deep)}}
.heat .corner{{background:none;font-size:.72rem;color:var(--faint);text-align:right}} .corner span{{display:block}}
"""

SERIES = "\n".join(
    f".line.s{i},.whisker.s{i}{{stroke:var(--s{i})}} .band.s{i}{{fill:var(--s{i})}} .dot.s{i}{{fill:var(--s{i})}}"
    f" .key.s{i}{{color:var(--s{i})}} .part.s{i}{{border-color:var(--s{i})}}"
    for i in (0, 1, 2, 3, 4, 5, 9)
)
DOCUMENTS = """
.toc ul{columns:260px auto;column-gap:32px} .toc li{break-inside:avoid} .toc>ul>li{margin-bottom:10px}
  .toc b{font-size:.82rem;color:var(--soft);font-weight:640} .toc li li{padding-left:12px}
  .toc ul ul{columns:auto} .toc a{text-decoration:none;font-size:.92rem;overflow-wrap:anywhere}
.document{display:grid;gap:16px;grid-template-columns:minmax(0,1fr);padding-top:4px;scroll-margin-top:60px}
  .document>h3{margin:6px 0 0} .document .scroll{border-radius:10px}
.lost{font-size:.85rem;color:var(--soft);border-left:2px solid var(--warn);padding-left:12px;display:grid;gap:2px}
.band{stroke:none;fill-opacity:.14}
.tokens{display:grid;gap:12px} .tokens p{line-height:1.9;white-space:pre-wrap;overflow-wrap:anywhere}
.tokens b{font-size:.82rem;color:var(--soft);margin-right:8px}
.tokens span{border-radius:4px;padding:1px 0;background:color-mix(in srgb,var(--s0) calc(var(--w,0)*60%),transparent)}
  .tokens span.against{background:color-mix(in srgb,var(--s1) calc(var(--w,0)*60%),transparent)}
.pictures{display:grid;gap:12px;grid-template-columns:repeat(auto-fill,minmax(140px,1fr))}
  .pictures figure{min-width:0} .pictures img{width:100%;height:auto;border-radius:8px;image-rendering:auto}
  .pictures figcaption{font-weight:400;font-size:.82rem;color:var(--soft);overflow-wrap:anywhere}
"""
DASHES = """
.line.s1{stroke-dasharray:7 3} .line.s2{stroke-dasharray:2 4} .line.s3{stroke-dasharray:9 3 2 3}
.line.s4{stroke-dasharray:4 2} .line.s5{stroke-dasharray:1 3}
"""

PHONE = """
@media (max-width:560px){main{padding:0 16px 48px} .bar{padding:12px 16px 0} nav{margin:8px -16px 0;
  padding:0 16px} .hero{padding-top:24px;gap:18px}
 .figures{grid-template-columns:repeat(2,minmax(0,1fr));gap:10px} .figure{padding:12px 12px 10px}
  .big{font-size:1.55rem} th,td{padding:8px 11px} .heat td{min-width:54px}
 .strip{gap:10px 22px} section{padding-top:26px}}
"""

PRINT = """
@page{margin:16mm 14mm}
@media print{nav,.switch,.bar{display:none!important} body{font-size:10.5pt;background:none}
  main{max-width:none;padding:0}
  .hero{padding-top:0}
 .scroll{overflow:visible} figure,.mistake,.figure,.tokens p,tr,.limits li{break-inside:avoid}
  h2,h3,h4,summary,figcaption{break-after:avoid} thead{display:table-header-group} p,li{orphans:3;widows:3}
  td,th{white-space:normal!important;padding:3px 6px!important;font-size:9pt}
  th,td.n{white-space:nowrap!important} td code,td .claim{overflow-wrap:anywhere} td *{line-height:1.25}
  details::details-content{content-visibility:visible;height:auto;display:block} details:not([open])>*{display:block}
  summary{list-style:none} .toc+section,#en-evaluations,#zh-evaluations{break-before:page}
 section{padding-top:16px} *{-webkit-print-color-adjust:exact;print-color-adjust:exact}}
"""

CSS = "\n".join(
    [
        f":root{{color-scheme:light dark;{LIGHT}}}",
        f"@media screen and (prefers-color-scheme:dark){{:root{{{DARK}}}}}",
        BASE,
        LANGUAGES,
        HERO,
        SECTIONS,
        CHARTS,
        DOCUMENTS,
        SERIES,
        DASHES,
        PHONE,
        PRINT,
    ]
)
