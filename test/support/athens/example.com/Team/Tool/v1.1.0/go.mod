module example.com/Team/Tool

go 1.20
