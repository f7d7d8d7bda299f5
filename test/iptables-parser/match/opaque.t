# Matches that are known and not modelled: their words come back as they went in.
*filter
:INPUT
-p ah -m ah --ahspi 5 ; = ; OK
-m cgroup ! --cgroup 5 -j DROP ; = ; OK
-m cpu --cpu 0 ; = ; OK
-m connbytes --connbytes 100:200 --connbytes-mode bytes --connbytes-dir both ; = ; OK
-m connlimit --connlimit-upto 5 --connlimit-mask 32 --connlimit-saddr ; = ; OK
-m connlabel --label "5" ; = ; OK
-m cluster --cluster-local-nodemask 0x00000001 --cluster-total-nodes 2 --cluster-hash-seed 0x00000005 ; = ; OK
-m devgroup --src-group 0x1 ; = ; OK
-p tcp -m ecn --ecn-tcp-cwr ; = ; OK
-p esp -m esp --espspi 5 ; = ; OK
-m hashlimit --hashlimit-upto 5/min --hashlimit-burst 5 --hashlimit-mode srcip --hashlimit-name h -j ACCEPT ; = ; OK
-m helper --helper ftp ; = ; OK
-p ipcomp -m ipcomp --ipcompspi 5 --compres ; -p ipcomp -m ipcomp --ipcompspi 5 --compres ; OK
-m ipvs --ipvs ; = ; OK ; NONE
-m nfacct --nfacct-name web ; = ; OK ; NONE
-p tcp -m osf --genre Linux --ttl 0 ; = ; OK ; NONE
-m policy --dir in --pol none ; = ; OK
-m quota --quota 1000 ; = ; OK
-m realm --realm 0x5 ; = ; OK
-m rateest --rateest r --rateest-lt --rateest-bps 8bit ; = ; OK ; NONE
-m socket --transparent ; = ; OK ; NONE
-m string --string GET --algo bm --to 65535 ; = ; OK ; NONE
-p tcp -m tcpmss --mss 1:1400 ; = ; OK ; NONE
-m time --timestart 08:00:00 --timestop 17:00:00 --weekdays Mon,Tue ; = ; OK ; NONE
-m u32 --u32 0x0=0x0 ; = ; OK ; NONE
-m bpf --bytecode "1,6 0 0 65535" -j ACCEPT ; = ; OK ; NONE
ip6tables
-m dst --dst-len 8 ; = ; OK
-m hbh --hbh-len 8 ; = ; OK
-m eui64 ; = ; OK
-m frag --fragid 5 --fragfirst ; = ; OK
-m ipv6header --header ipv6-frag --soft ; = ; OK
-p ipv6-mh -m mh --mh-type 3 ; -p mobility-header -m mh --mh-type 3 ; OK ; NONE
-m rt --rt-type 0 ; = ; OK
-m srh --srh-next-hdr 17 ; = ; OK
