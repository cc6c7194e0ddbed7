// Shows a log of any length: only the lines that can be seen are in the page, the rest is asked for by line number.
"use strict";

(() => {
  const flat = document.querySelector(".logflat[data-log]");
  if (!flat) return;

  const LINE_HEIGHT = 18;
  const BLOCK_LINES = 500;
  const BLOCKS_KEPT = 40;
  // Browsers refuse to make an element taller than this by some margin; a longer log is scrolled in proportion.
  const PIXELS_MAX = 8_000_000;

  const url = flat.dataset.log;
  const blocks = new Map();
  let total = Number(flat.dataset.lines);
  let complete = flat.dataset.complete === "true";
  let marked = -1;
  let follow = false;

  const view = document.createElement("div");
  view.className = "log logview";
  view.tabIndex = 0;
  view.setAttribute("role", "region");
  view.setAttribute("aria-label", "Log");
  const pad = document.createElement("div");
  pad.className = "pad";
  const win = document.createElement("div");
  win.className = "win";
  view.append(pad, win);
  flat.replaceWith(view);
  document.body.classList.add("has-logview");
  document.querySelector(".logpager")?.remove();
  for (const element of document.querySelectorAll("[data-needs-script]")) element.hidden = false;

  const count = document.querySelector("[data-log-count]");
  const followButton = document.querySelector("[data-follow]");
  const jumpForm = document.querySelector("form[data-jump-form]");

  // --- Lines <-> pixels ---
  const visibleLines = () => Math.ceil(view.clientHeight / LINE_HEIGHT) + 1;
  const lastTop = () => Math.max(0, total - Math.floor(view.clientHeight / LINE_HEIGHT));
  const isScaled = () => total * LINE_HEIGHT > PIXELS_MAX;
  const height = () => Math.min(total * LINE_HEIGHT, PIXELS_MAX);
  const pixelsMax = () => Math.max(1, height() - view.clientHeight);

  let top = 0; // first visible line, with a fraction
  let ownScroll = -1;

  const topOfScroll = () =>
    isScaled() ? (view.scrollTop / pixelsMax()) * lastTop() : view.scrollTop / LINE_HEIGHT;

  const scrollTo = (line) => {
    top = Math.min(Math.max(0, line), lastTop());
    const pixels = isScaled() ? (top / Math.max(1, lastTop())) * pixelsMax() : top * LINE_HEIGHT;
    view.scrollTop = pixels;
    ownScroll = view.scrollTop;
    draw();
  };

  // --- Blocks of lines, the least recently used go ---
  const block = (index) => {
    const known = blocks.get(index);
    if (known) {
      blocks.delete(index);
      blocks.set(index, known);
      return known;
    }
    const made = { lines: [], streams: "", loading: false, at: -1 };
    blocks.set(index, made);
    while (blocks.size > BLOCKS_KEPT) blocks.delete(blocks.keys().next().value);
    return made;
  };

  const load = async (index) => {
    const wanted = block(index);
    const first = index * BLOCK_LINES;
    const have = wanted.lines.length;
    if (wanted.loading || have >= BLOCK_LINES || first + have >= total) return;
    wanted.loading = true;
    try {
      const response = await fetch(`${url}/lines?first=${first}&count=${BLOCK_LINES}`);
      if (response.ok) {
        const answer = await response.json();
        wanted.lines = answer.lines;
        wanted.streams = answer.streams;
        grow(answer.total, answer.complete);
      }
    } catch {
      // Asked for again with the next scroll or event.
    }
    wanted.loading = false;
    draw();
  };

  // --- Drawing ---
  let scheduled = false;
  let drawn = "";
  const draw = () => {
    if (scheduled) return;
    scheduled = true;
    requestAnimationFrame(() => {
      scheduled = false;
      drawNow();
    });
  };

  const drawNow = () => {
    const tall = `${height()}px`;
    if (pad.style.height !== tall) pad.style.height = tall;
    const first = Math.max(0, Math.floor(top) - 5);
    const last = Math.min(total, Math.floor(top) + visibleLines() + 5);
    const rows = [];
    let signature = `${first}-${last}-${marked}`;
    for (let number = first; number < last; number++) {
      const index = Math.floor(number / BLOCK_LINES);
      const { lines, streams } = block(index);
      const at = number - index * BLOCK_LINES;
      const html = lines[at];
      signature += html === undefined ? "?" : ".";
      rows.push([number, html ?? "", streams[at] ?? "o"]);
      if (html === undefined) load(index);
    }
    if (signature !== drawn) {
      drawn = signature;
      win.replaceChildren(...rows.map(([number, html, stream]) => {
        const row = window.toolpostLine("", number, html, stream);
        if (number === marked) row.classList.add("at");
        return row;
      }));
    }
    const offset = isScaled()
      ? view.scrollTop - (top - first) * LINE_HEIGHT
      : first * LINE_HEIGHT;
    win.style.transform = `translateY(${Math.max(0, offset)}px)`;
  };

  view.addEventListener("scroll", () => {
    if (Math.abs(view.scrollTop - ownScroll) < 1) return;
    ownScroll = -1;
    const before = top;
    top = topOfScroll();
    if (top < before) setFollow(false);
    draw();
  }, { passive: true });

  // In proportional scrolling a notch of the wheel would jump over lines: those are counted exactly.
  view.addEventListener("wheel", (event) => {
    if (!isScaled() || event.deltaY === 0 || event.ctrlKey || event.shiftKey) return;
    event.preventDefault();
    if (event.deltaY < 0) setFollow(false);
    const lines = event.deltaMode === 1 ? event.deltaY : event.deltaY / LINE_HEIGHT;
    scrollTo(top + lines);
  }, { passive: false });

  view.addEventListener("keydown", (event) => {
    const page = Math.max(1, visibleLines() - 3);
    const moves = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, " ": event.shiftKey ? -page : page };
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key in moves) {
      if (moves[event.key] < 0) setFollow(false);
      scrollTo(Math.round(top) + moves[event.key]);
    } else if (event.key === "Home" || event.key === "g") {
      setFollow(false);
      scrollTo(0);
    } else if (event.key === "End" || event.key === "G") {
      scrollTo(total);
    } else {
      return;
    }
    event.preventDefault();
  });

  // --- Growing ---
  const grow = (lines, ended) => {
    if (lines === total && ended === complete) return;
    total = Math.max(total, lines);
    complete = ended;
    if (count) {
      const text = new Intl.NumberFormat("en").format(total).replaceAll(",", "\u202f");
      count.textContent = `${text} ${total === 1 ? "line" : "lines"}${complete ? "" : ", growing"}`;
    }
    if (complete) setFollow(false);
    if (followButton) followButton.hidden = complete;
    if (follow) scrollTo(total);
    draw();
  };

  const poll = async () => {
    const last = Math.floor(Math.max(0, total - 1) / BLOCK_LINES);
    blocks.get(last) && (blocks.get(last).loading = false);
    const response = await fetch(`${url}/lines?first=${last * BLOCK_LINES}&count=${BLOCK_LINES}`).catch(() => undefined);
    if (!response?.ok) return;
    const answer = await response.json();
    const end = block(last);
    end.lines = answer.lines;
    end.streams = answer.streams;
    grow(answer.total, answer.complete);
  };

  let polling = false;
  const changed = async () => {
    if (polling || complete) return;
    polling = true;
    await poll();
    polling = false;
  };
  document.addEventListener("toolpost:changed", (event) => {
    event.preventDefault();
    changed();
  });
  document.addEventListener("toolpost:shown", changed);

  const setFollow = (on) => {
    follow = on && !complete;
    followButton?.setAttribute("aria-pressed", String(follow));
  };

  // --- Jumping ---
  const jump = (line) => {
    marked = Math.min(Math.max(0, line), Math.max(0, total - 1));
    setFollow(false);
    scrollTo(marked - Math.floor(visibleLines() / 3));
  };

  const jumpToHash = () => {
    const match = /^#L(\d+)$/.exec(location.hash);
    if (match) jump(Number(match[1]) - 1);
    return Boolean(match);
  };

  win.addEventListener("click", (event) => {
    const link = event.target.closest("a.n");
    if (!link) return;
    event.preventDefault();
    history.replaceState(null, "", link.hash);
    marked = Number(link.hash.slice(2)) - 1;
    draw();
  });

  jumpForm?.addEventListener("submit", (event) => {
    event.preventDefault();
    const line = Number.parseInt(new FormData(jumpForm).get("line"), 10);
    if (line > 0) {
      history.replaceState(null, "", `#L${line}`);
      jump(line - 1);
      view.focus();
    }
  });

  document.querySelector("[data-top]")?.addEventListener("click", (event) => {
    event.preventDefault();
    setFollow(false);
    scrollTo(0);
  });
  document.querySelector("[data-end]")?.addEventListener("click", (event) => {
    event.preventDefault();
    scrollTo(total);
  });
  followButton?.addEventListener("click", () => {
    setFollow(!follow);
    if (follow) scrollTo(total);
  });
  addEventListener("hashchange", jumpToHash);
  new ResizeObserver(() => (follow ? scrollTo(total) : draw())).observe(view);

  // --- Start ---
  if (followButton) followButton.hidden = complete;
  const start = Number(flat.dataset.first);
  if (!jumpToHash()) {
    if (!complete) setFollow(true);
    scrollTo(complete ? start : total);
  }
  view.focus({ preventScroll: true });
})();
