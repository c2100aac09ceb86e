// Package bundle turns an untrusted zip archive into a checked bundle: the
// list of its files, what its manifest says, canonical bytes and the digest
// that identifies its content.
//
// Everything that is wrong with an archive is a Finding with a rule (see
// Rules), the file and a sentence for the mini program's developer. The package
// does no I/O but through the io.ReaderAt and io.Writer that it is given, and
// holds neither the archive nor its expanded content in memory.
//
// # Zip
//
// The structure is read by this package's own parser, because a bundle must
// mean the same to every reader. Accepted is what APPNOTE.TXT 6.3 describes,
// less everything that two readers can see differently:
//
//   - one end record, which is the last thing in the file; the central
//     directory right before it; the files tile the archive from its first byte
//     to the central directory, in any order. So there is no prefix, no gap
//     and no overlap, and also no signing block before the central directory:
//     what is signed here is the published artifact.
//   - stored or deflated; the deflate stream fills its range exactly. What is
//     packed for a folder expands to nothing.
//   - name, flags, method, time, checksum and sizes are equal in local header
//     and central directory. "Version needed" and extra fields may differ,
//     since no reader takes content or names from them; the exceptions, zip64
//     sizes, the Unicode Path field when it holds another name, and fields that
//     can make a link of the file, are refused.
//   - data descriptors, with or without signature, when they repeat the central
//     directory. Stored content before one must not look like one, for readers of
//     streams search for it.
//   - zip64 is refused: it is needed for 4 GiB and more only, and readers
//     disagree about when it applies.
//   - names outside ASCII carry the UTF-8 flag, or readers decode them as CP437.
//     They are not of an archive that says it was made on DOS, whose names
//     Info-ZIP decodes as CP850 with that flag too.
//
// # Names
//
// W3C MiniApp Packaging forbids the full stop together with other code points,
// and then uses it in every example: here a name must not end in one. Its "/"
// is the separator. '..', '.' and empty parts, a leading slash, a drive and a
// backslash leave the bundle or mean different places on different systems.
// Names are unique after canonical normalization and full case folding, folders
// included: "Pages/a.js" and "pages/b.js" collide. The dotless i of Turkish is a
// letter of its own, as in Unicode's folding and in the file systems that use it.
//
// Beyond W3C, a name must be the same on every system, and what people read: no
// part is a device of Windows ("nul.txt"), ends in a space or in ";1" (which
// Info-ZIP drops), and none holds controls of direction or other invisible code
// points. Joiners and variation selectors are allowed, for scripts and emoji need
// them, and do not make two names different.
//
// # MiniApp
//
// W3C MiniApp Packaging and MiniApp Manifest, editors' drafts. Readings chosen
// where they are vague or contradict themselves:
//
//   - the schema published beside the draft names members that the draft does
//     not have (version_name, min_platform_version); the draft's text counts:
//     app_id, name, icons, pages, platform_version, version are required.
//   - a page route is a path from the root, literal (no percent-decoding, query
//     or fragment), with or without the file's extension. The packaging draft asks
//     for an HTML file, containers also run pages that are a script only: one of
//     route, route.html and route.js must be there. Widgets likewise.
//   - icons are files of the bundle.
//   - version.code is a whole number from 1; the draft turns smaller ones into
//     1, which would give two versions the same code.
//   - target_code and a widget's min_code come as number and as text: both are
//     taken. platform_version.min_code is a number.
//   - unknown members are allowed, duplicate ones are not.
//
// # Dimina
//
// What the open-source Dimina compiler leaves: main/app-config.json and
// main/logic.js, a page a/b/c as main/a_b_c.js, the pages of a subpackage with
// root r in sub_r/ beside a logic.js of its own. A mini game (runtimeType
// "game") has the first two files only. All of it may stand below one folder
// that is named after the app ID, which is then part of every path. The layout
// carries neither app ID nor version, so they come from Expect.
//
// # Web
//
// index.html at the root. manifest.webmanifest or, without one, manifest.json
// is read as a web app manifest: name, and relative icons, which must exist.
// Icons with an absolute path or URL depend on where the bundle is served and
// are not looked for. App ID and version come from Expect.
//
// # Content
//
// The canonical form is a tar: files only, sorted by the bytes of their names,
// mode 0644, no owner, time 0. Headers are USTAR; a name that USTAR cannot
// hold (not ASCII, or too long to split) gets a PAX path record in front of it.
// ContentDigest is the SHA-256 of that tar and identifies the content however
// it was compressed.
//
// # Folders
//
// Zip goes the other way: it packs a folder into an archive that is the same on
// every machine, for what pushes bundles from a build.
package bundle
