// Package cookbook has the recipes of docs/cookbook.md. They are there to be copied: each
// stands alone, and this package promises nothing to whoever imports it.
package cookbook
