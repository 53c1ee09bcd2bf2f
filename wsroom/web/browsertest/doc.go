// Package browsertest tests the chat room's page in a real browser. It is a module of
// its own, because what drives the browser is no business of those who serve the page.
package browsertest
