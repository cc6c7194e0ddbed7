// What every page does beyond HTML: the colour scheme, clocks, and staying up to date. Everything works without it.
"use strict";

(() => {
  const root = document.documentElement;

  // --- Colour scheme: the form works on its own, this saves the round trip. ---
  const themeForm = document.querySelector("form[data-theme-form]");
  themeForm?.addEventListener("submit", (event) => {
    event.preventDefault();
    const dark = root.dataset.theme
      ? root.dataset.theme === "dark"
      : matchMedia("(prefers-color-scheme: dark)").matches;
    const theme = dark ? "light" : "dark";
    root.dataset.theme = theme;
    const secure = location.protocol === "https:" ? "; Secure" : "";
    document.cookie = `theme=${theme}; Path=/; Max-Age=31536000; SameSite=Lax${secure}`;
  });

  // --- Clocks ---
  const two = (n) => String(n).padStart(2, "0");

  const duration = (ms) => {
    const s = Math.max(0, Math.floor(ms / 1000));
    if (s < 60) return `${s} s`;
    if (s < 3600) return `${Math.floor(s / 60)} min ${two(s % 60)} s`;
    if (s < 86400) return `${Math.floor(s / 3600)} h ${two(Math.floor((s % 3600) / 60))} min`;
    return `${Math.floor(s / 86400)} d ${two(Math.floor((s % 86400) / 3600))} h`;
  };

  const coarse = (s) => {
    if (s < 60) return `${s} s`;
    if (s < 3600) return `${Math.floor(s / 60)} min`;
    if (s < 172800) return `${Math.floor(s / 3600)} h`;
    if (s < 5184000) return `${Math.floor(s / 86400)} days`;
    if (s < 63072000) return `${Math.floor(s / 2592000)} months`;
    return `${Math.floor(s / 31536000)} years`;
  };

  const relative = (seconds) => {
    if (seconds < -5) return `in ${coarse(-seconds)}`;
    return seconds < 5 ? "just now" : `${coarse(seconds)} ago`;
  };

  const setText = (element, text) => {
    if (element.textContent !== text) element.textContent = text;
  };

  // The reader's clock may be wrong: durations count from the server's.
  const skew = Number(document.body.dataset.now) - Date.now();

  const tick = () => {
    const now = Date.now() + skew;
    for (const element of document.querySelectorAll("[data-since]")) {
      setText(element, duration(now - Number(element.dataset.since)));
    }
    for (const element of document.querySelectorAll("time[datetime]")) {
      const at = Date.parse(element.dateTime);
      if (!Number.isNaN(at)) setText(element, relative(Math.floor((now - at) / 1000)));
    }
  };
  setInterval(tick, 1000);

  // --- Bringing one tree of elements to the state of another, touching only what differs, so that focus, scroll
  // positions and opened details stay. ---
  const keyOf = (node) => (node.nodeType === 1 ? node.id || node.dataset.key : undefined);

  const morphAttributes = (from, to) => {
    for (const { name } of [...from.attributes]) {
      const own = name === "open" && from.localName === "details";
      if (!own && !to.hasAttribute(name)) from.removeAttribute(name);
    }
    for (const { name, value } of to.attributes) {
      const own = name === "open" && from.localName === "details";
      if (!own && from.getAttribute(name) !== value) from.setAttribute(name, value);
    }
  };

  const morph = (from, to) => {
    if (from.isEqualNode(to)) return;
    if (from.nodeType !== to.nodeType || from.nodeName !== to.nodeName || keyOf(from) !== keyOf(to)) {
      from.replaceWith(document.importNode(to, true));
      return;
    }
    if (from.nodeType !== 1) {
      if (from.nodeValue !== to.nodeValue) from.nodeValue = to.nodeValue;
      return;
    }
    if (from.hasAttribute("data-keep")) return;
    if (from === document.activeElement && /^(INPUT|TEXTAREA|SELECT)$/.test(from.nodeName)) return;
    morphAttributes(from, to);
    morphChildren(from, to);
  };

  const morphChildren = (from, to) => {
    const keyed = new Map();
    for (const child of from.children) {
      const key = keyOf(child);
      if (key) keyed.set(key, child);
    }
    let at = from.firstChild;
    for (const wanted of [...to.childNodes]) {
      const key = keyOf(wanted);
      const known = key && keyed.get(key);
      if (known && known !== at) {
        from.insertBefore(known, at);
        morph(known, wanted);
        continue;
      }
      if (!at || (key && !known) || (!key && keyOf(at))) {
        from.insertBefore(document.importNode(wanted, true), at);
        continue;
      }
      const next = at.nextSibling;
      morph(at, wanted);
      at = next;
    }
    while (at) {
      const next = at.nextSibling;
      at.remove();
      at = next;
    }
  };

  // --- Staying up to date: the server says that something on this page changed, the page is read again. ---
  const light = document.querySelector(".live");
  const live = document.body.dataset.live;
  let reading = false;
  let again = false;

  const refresh = async () => {
    if (reading) {
      again = true;
      return;
    }
    reading = true;
    try {
      const response = await fetch(location.href, { headers: { accept: "text/html" } });
      if (response.ok) {
        const text = await response.text();
        const next = new DOMParser().parseFromString(text, "text/html");
        const main = document.querySelector("main");
        const wanted = next.querySelector("main");
        if (wanted && !main.contains(document.querySelector("dialog[open]"))) morph(main, wanted);
        document.title = next.title;
        tick();
        openTails();
      }
    } catch {
      // The stream notices that the server is gone, and comes back with it.
    }
    reading = false;
    if (again) {
      again = false;
      setTimeout(refresh, 300);
    }
  };

  const show = (state, title) => {
    if (!light) return;
    light.dataset.state = state;
    light.title = title;
  };

  if (live) {
    let stream;
    const connect = () => {
      if (stream) return;
      stream = new EventSource(live);
      let first = true;
      stream.addEventListener("hello", () => {
        show("on", "This page is up to date");
        if (!first) refresh();
        first = false;
      });
      stream.addEventListener("changed", (event) => {
        const own = new CustomEvent("toolpost:changed", { detail: JSON.parse(event.data), cancelable: true });
        if (document.dispatchEvent(own)) refresh();
      });
      stream.onerror = () => show("off", "No connection to the server; this page may be out of date");
    };
    // Browsers allow few connections to a server: a page that nobody looks at gives its own back.
    document.addEventListener("visibilitychange", () => {
      if (document.hidden) {
        stream?.close();
        stream = undefined;
      } else {
        connect();
        document.dispatchEvent(new CustomEvent("toolpost:shown"));
        refresh();
      }
    });
    if (!document.hidden) connect();
  }

  // --- The end of a log, when its step is opened ---
  const openTails = () => {
    for (const element of document.querySelectorAll("details[open] [data-tail]:empty")) loadTail(element);
  };

  const loadTail = async (element) => {
    if (element.dataset.loading) return;
    element.dataset.loading = "yes";
    const response = await fetch(element.dataset.tail);
    delete element.dataset.loading;
    if (!response.ok) return;
    const { first, lines, streams } = await response.json();
    element.replaceChildren(...lines.map((html, i) => line(element.dataset.href, first + i, html, streams[i])));
  };

  const line = (href, number, html, stream) => {
    const row = document.createElement("div");
    row.className = `l ${stream}`;
    const link = document.createElement("a");
    link.className = "n";
    link.href = `${href}#L${number + 1}`;
    link.textContent = number + 1;
    const content = document.createElement("span");
    content.className = "c";
    // The server escaped it: only spans with classes are in it.
    content.innerHTML = html;
    row.append(link, content);
    return row;
  };
  window.toolpostLine = line;

  document.addEventListener("toggle", (event) => {
    if (event.target.localName === "details" && event.target.open) openTails();
  }, true);
  openTails();

  // --- Small things ---
  // A file is sent as text; without a script its contents are pasted.
  for (const text of document.querySelectorAll("textarea[data-file]")) {
    const choose = document.createElement("input");
    choose.type = "file";
    choose.setAttribute("aria-label", `File for ${text.labels[0]?.textContent.trim() ?? text.name}`);
    choose.addEventListener("change", async () => {
      if (choose.files[0]) text.value = await choose.files[0].text();
    });
    text.after(choose);
  }

  document.addEventListener("submit", (event) => {
    const question = event.target.dataset.confirm;
    if (question && !confirm(question)) event.preventDefault();
  });

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.closest?.("input, textarea, select")) return;
    if (event.key === "/") {
      const search = document.querySelector("input[type=search], input[data-jump]");
      if (search) {
        event.preventDefault();
        search.focus();
      }
    }
  });
})();
