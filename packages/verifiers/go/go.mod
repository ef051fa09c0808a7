module github.com/countersign/countersign/packages/verifiers/go

go 1.24
