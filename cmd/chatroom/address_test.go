package main

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestParseAddress(t *testing.T) {
	tests := []struct {
		in   string
		want address
	}{
		{"127.0.0.1:4321", address{"tcp", "127.0.0.1:4321", false}},
		{":0", address{"tcp", ":0", false}},
		{"[::1]:80", address{"tcp", "[::1]:80", false}},
		{"localhost:chat", address{"tcp", "localhost:chat", false}},
		{"tls:example.com:443", address{"tcp", "example.com:443", true}},
		{"unix:/run/room", address{"unix", "/run/room", false}},
		{"unix:a:b", address{"unix", "a:b", false}},
	}
	for _, tt := range tests {
		got, err := parseAddress(tt.in)
		require.NoError(t, err, tt.in)
		assert.Equal(t, tt.want, got, tt.in)
		assert.Equal(t, tt.in, got.String())
	}
	for _, bad := range []string{"", "localhost", "localhost:", "::1", "[::1]", "unix:", "tls:", "tls:host", "a:b:c"} {
		_, err := parseAddress(bad)
		assert.ErrorContains(t, err, "address", bad)
	}
}
