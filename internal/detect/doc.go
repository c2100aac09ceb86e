// Package detect finds the use of sensitive APIs in scripts: those of WeChat's wx
// and Alipay's my, which other containers offer too, and those of the web platform.
// Which APIs these are, and what a mini program must declare for each, is data:
// table.yaml, with the vocabulary of permissions.
//
// # How
//
// A script becomes tokens by the lexer of tdewolff/parse, then scopes and what is
// declared in them. No syntax tree is asked for: a mistake in a script, or a word of
// next year's language, hides nothing that stands behind it. Then values are handed
// on, without regard to order: through assignments, patterns, parameters of calls
// whose function is known, returns, properties by their name, copies, getters, and
// texts that are put together, until nothing changes or six rounds are over. A use
// is a member of the table that is read, called, or taken out by a pattern; a
// handler that is written. Asking whether a member is there by typeof, writing it
// as mocks do, and deleting it are none.
//
// # What is not found
//
// Reading finds what can be read. Not found are names that are made at run time
// (decoded, joined, reversed, fetched), code in eval and new Function, objects that
// go through collections, promises, proxies and reflection, and what a module of
// another file exports: each file is read by itself. A page that a framework
// compiled calls its wrapper in another file, and no name of the platform is in it.
// Nor are found: wx[k] where k cannot be read, which is no use at all here rather
// than one without an API; names inside with (wx) {}; what wx.authorize asks for by
// a scope; and what a page's template asks for, as a button with open-type does.
//
// Properties are told apart by their name and not by their object, and assignments
// are not in order: what is called after a name was given another value, or on
// another object's property of the same name, may be reported wrongly.
//
// # Bounds
//
// Any bytes may be given. Time is about linear in their number and memory bounded
// for each part of 524,288 tokens: a longer script is read part by part. Values
// of a name, depth of expressions, and arguments that are looked at have limits;
// of brackets in more than 16,384 others only the number is known.
package detect
