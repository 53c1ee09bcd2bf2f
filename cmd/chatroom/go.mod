module example.com/chatroom/cmd/chatroom

go 1.25.0

require (
	example.com/chatroom v0.0.0
	github.com/clipperhouse/displaywidth v0.11.0
	github.com/stretchr/testify v1.12.1
	go.uber.org/goleak v1.3.0
	golang.org/x/sys v0.47.0
	golang.org/x/term v0.45.0
	golang.org/x/time v0.15.0
)

require (
	github.com/clipperhouse/uax29/v2 v2.7.0 // indirect
	go.yaml.in/yaml/v3 v3.0.5 // indirect
)

replace example.com/chatroom => ../..
