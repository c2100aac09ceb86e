(() => {
  "use strict";

  // Kept on the device. Where it keeps nothing (a private window, a sandbox), the
  // notes last as long as the page, and a line at the top says so.
  const store = (() => {
    const key = "pocket-notes";
    let notes = null;
    let lasting = true;

    function load() {
      if (notes === null) {
        try {
          notes = JSON.parse(localStorage.getItem(key)) ?? welcome();
        } catch {
          notes = welcome();
          lasting = false;
        }
      }
      return notes;
    }

    function save() {
      try {
        localStorage.setItem(key, JSON.stringify(notes));
        lasting = true;
      } catch {
        lasting = false;
      }
    }

    function welcome() {
      const now = Date.now();
      return [
        {
          id: "welcome",
          text: "Welcome to Pocket Notes\nThe first line is the title.\n\n- **bold**, *slanted* and `code`\n- words with a # are tags: #start #help\n\nTap *Edit* to change this note.",
          pinned: true,
          changed: now,
        },
        { id: "shopping", text: "Shopping\n- rye bread\n- leek\n- a bottle of milk\n\n#errands", pinned: false, changed: now - 1 },
      ];
    }

    return {
      all: () => load().toSorted((a, b) => b.pinned - a.pinned || b.changed - a.changed),
      find: (id) => load().find((note) => note.id === id),
      put(note) {
        notes = [...load().filter((other) => other.id !== note.id), { ...note, changed: Date.now() }];
        save();
      },
      remove(id) {
        notes = load().filter((note) => note.id !== id);
        save();
      },
      replace(list) {
        notes = list;
        save();
      },
      lasts: () => load() && lasting,
    };
  })();

  const titleOf = (note) => note.text.split("\n", 1)[0].trim() || "Without a title";
  const bodyOf = (note) => note.text.split("\n").slice(1).join("\n").trim();
  const tagsOf = (note) => [...new Set([...note.text.matchAll(/(?:^|\s)#([\p{L}\p{N}_-]+)/gu)].map((m) => m[1].toLowerCase()))];
  const newID = () => Date.now().toString(36) + Math.random().toString(36).slice(2, 6);

  // h("a", {href: "#/"}, "Notes") makes an element. Text is never read as HTML.
  function h(name, attributes, ...children) {
    const element = document.createElement(name);
    for (const [key, value] of Object.entries(attributes ?? {})) {
      if (key.startsWith("on")) {
        element.addEventListener(key.slice(2), value);
      } else if (value !== false && value !== undefined) {
        element.setAttribute(key, value === true ? "" : value);
      }
    }
    element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined));
    return element;
  }

  // One line: **bold**, *slanted*, `code` and #tags.
  function inline(line) {
    return line.split(/(\*\*[^*]+\*\*|\*[^*]+\*|`[^`]+`|(?<=^|\s)#[\p{L}\p{N}_-]+)/u).map((part) => {
      if (/^\*\*.+\*\*$/.test(part)) return h("strong", null, part.slice(2, -2));
      if (/^\*.+\*$/.test(part)) return h("em", null, part.slice(1, -1));
      if (/^`.+`$/.test(part)) return h("code", null, part.slice(1, -1));
      if (/^#\S+$/.test(part)) return tagLink(part.slice(1).toLowerCase());
      return part;
    });
  }

  // Paragraphs, and lists of lines that begin with "- ".
  function formatted(text) {
    return text.split(/\n{2,}/).map((block) => {
      const pieces = [];
      let list = null;
      for (const line of block.split("\n")) {
        if (line.startsWith("- ")) {
          list ??= pieces[pieces.push(h("ul")) - 1];
          list.append(h("li", null, inline(line.slice(2))));
        } else {
          list = null;
          pieces.push(h("p", null, inline(line)));
        }
      }
      return pieces;
    });
  }

  const tagLink = (tag) => h("a", { class: "tag", href: `#/tag/${encodeURIComponent(tag)}` }, `#${tag}`);

  function noteList(notes) {
    return h("ul", { class: "notes" }, notes.map((note) =>
      h("li", { class: note.pinned ? "pinned" : false },
        h("a", { href: `#/note/${note.id}` },
          h("strong", null, titleOf(note)),
          h("span", { class: "faint" }, bodyOf(note).replaceAll("\n", " ") || "Nothing more")))));
  }

  function listView() {
    const results = h("div");
    function show(wanted) {
      const notes = store.all().filter((note) => note.text.toLowerCase().includes(wanted.toLowerCase()));
      const none = wanted ? "No note has these words." : "No notes yet.";
      results.replaceChildren(notes.length ? noteList(notes) : h("p", { class: "empty" }, none));
    }
    show("");
    return [
      h("div", { class: "row" }, h("a", { class: "button", href: "#/new" }, "New note")),
      h("input", { type: "search", placeholder: "Search", "aria-label": "Search notes", oninput: (event) => show(event.target.value.trim()) }),
      results,
    ];
  }

  function noteView(id) {
    const note = store.find(id);
    if (!note) return missingView();
    return [
      h("h1", null, titleOf(note)),
      h("article", { class: "text" }, formatted(bodyOf(note))),
      h("p", { class: "faint" }, `Changed ${new Date(note.changed).toLocaleString()}`),
      h("div", { class: "row" },
        h("a", { class: "button", href: `#/edit/${id}` }, "Edit"),
        h("button", { class: "plain", onclick: () => { store.put({ ...note, pinned: !note.pinned }); show(); } }, note.pinned ? "Unpin" : "Pin"),
        h("a", { class: "button plain", href: `#/delete/${id}` }, "Delete")),
    ];
  }

  function editView(id) {
    const note = id ? store.find(id) : { id: newID(), text: "", pinned: false };
    if (!note) return missingView();
    const area = h("textarea", { "aria-label": "Text of the note", placeholder: "Title\n\nText, with #tags" });
    area.value = note.text;
    function save() {
      if (area.value.trim()) store.put({ ...note, text: area.value });
      location.hash = area.value.trim() ? `#/note/${note.id}` : "#/";
    }
    queueMicrotask(() => area.focus());
    return [
      h("h1", null, id ? "Edit" : "New note"),
      area,
      h("div", { class: "row" }, h("button", { onclick: save }, "Save"), h("a", { class: "button plain", href: id ? `#/note/${id}` : "#/" }, "Cancel")),
    ];
  }

  function deleteView(id) {
    const note = store.find(id);
    if (!note) return missingView();
    return [
      h("h1", null, `Delete “${titleOf(note)}”?`),
      h("p", null, "It cannot be brought back."),
      h("div", { class: "row" },
        h("button", { onclick: () => { store.remove(id); location.hash = "#/"; } }, "Delete"),
        h("a", { class: "button plain", href: `#/note/${id}` }, "Keep it")),
    ];
  }

  function tagsView() {
    const counts = new Map();
    for (const tag of store.all().flatMap(tagsOf)) counts.set(tag, (counts.get(tag) ?? 0) + 1);
    const tags = [...counts].sort(([a], [b]) => a.localeCompare(b));
    return [
      h("h1", null, "Tags"),
      tags.length
        ? h("div", { class: "row" }, tags.map(([tag, count]) => h("span", null, tagLink(tag), h("span", { class: "faint" }, ` ${count}`))))
        : h("p", { class: "empty" }, "Write a word with a # into a note, and it becomes a tag."),
    ];
  }

  function tagView(tag) {
    return [h("h1", null, `#${tag}`), noteList(store.all().filter((note) => tagsOf(note).includes(tag)))];
  }

  function settingsView() {
    const answer = h("p", { class: "faint", role: "status" });
    const area = h("textarea", { "aria-label": "Notes as text" });
    area.value = JSON.stringify(store.all(), null, 2);
    function bringIn() {
      try {
        const list = JSON.parse(area.value);
        const fits = (note) => typeof note?.id === "string" && typeof note.text === "string";
        if (!Array.isArray(list) || !list.every(fits)) throw new Error("this is not a list of notes");
        store.replace(list.map(({ id, text, pinned, changed }) => ({ id, text, pinned: pinned === true, changed: Number(changed) || 0 })));
        answer.textContent = `${list.length} notes are in.`;
      } catch (error) {
        answer.textContent = `Nothing was changed: ${error.message}.`;
      }
    }
    return [
      h("h1", null, "Take along"),
      h("p", null, "All notes as text: copy it to another device, and bring it in there."),
      area,
      h("div", { class: "row" }, h("button", { onclick: bringIn }, "Bring in"), h("button", { class: "plain", onclick: () => area.select() }, "Select all")),
      answer,
      h("p", { class: "faint" }, "Pocket Notes 0.9.0. Nothing leaves this device."),
    ];
  }

  const missingView = () => [h("p", { class: "empty" }, "This note is gone. ", h("a", { href: "#/" }, "All notes"))];

  const routes = {
    "": listView,
    note: noteView,
    new: () => editView(null),
    edit: editView,
    delete: deleteView,
    tags: tagsView,
    tag: tagView,
    settings: settingsView,
  };

  function show() {
    const [name = "", argument = ""] = location.hash.replace(/^#\//, "").split("/").map(decodeURIComponent);
    const view = routes[name] ?? missingView;
    document.querySelector("main").replaceChildren(...view(argument).flat(Infinity));
    document.querySelector(".warning").hidden = store.lasts();
    for (const link of document.querySelectorAll("header nav a")) {
      link.toggleAttribute("aria-current", link.getAttribute("href") === `#/${name}`);
    }
    scrollTo(0, 0);
  }

  addEventListener("hashchange", show);
  show();
})();
