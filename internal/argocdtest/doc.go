// Package argocdtest runs the scripts of config/argocd as Argo CD runs them, for
// tests: in the same interpreter, with as little of Lua's libraries, on objects
// that took the same way through JSON. Its own tests with the tag argocd let a real
// Argo CD play a life of the example (make test-argocd).
package argocdtest
