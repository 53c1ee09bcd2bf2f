//go:build unix

package natsroom_test

func runChild(where string) {}
