module github.com/miniprogram-dev/miniprogram-operator/sdk/go

go 1.26
