module example.com/chatroom/examples

go 1.25.0

require (
	example.com/chatroom v0.0.0
	github.com/stretchr/testify v1.12.1
	go.uber.org/goleak v1.3.0
	golang.org/x/text v0.41.0
	golang.org/x/time v0.15.0
)

require go.yaml.in/yaml/v3 v3.0.5 // indirect

replace example.com/chatroom => ..
