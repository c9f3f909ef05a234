module example.com/Team/Tool/sub

go 1.20
