module droplet-conn-example

go 1.19
