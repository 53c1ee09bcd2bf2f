module example.com/chatroom/wsroom

go 1.25.0

require (
	example.com/chatroom v0.0.0
	github.com/gobwas/ws v1.4.0
)

require (
	github.com/gobwas/httphead v0.1.0 // indirect
	github.com/gobwas/pool v0.2.1 // indirect
	go.yaml.in/yaml/v3 v3.0.5 // indirect
)

replace example.com/chatroom => ../

require golang.org/x/net v0.58.0

require github.com/stretchr/testify v1.12.1

require go.uber.org/goleak v1.3.0
