ip6tables
-m srh --srh-next-hdr 17 ; = ; OK
-m srh --srh-hdr-len-eq 8 --srh-segs-left-gt 8 ! --srh-last-entry-lt 4 --srh-tag 0 ; = ; OK
-m srh --srh-hdr-len-gt 8 --srh-hdr-len-lt 9 --srh-segs-left-eq 1 --srh-segs-left-lt 2 --srh-last-entry-eq 4 --srh-last-entry-gt 4 ; -m srh --srh-hdr-len-gt 9 --srh-hdr-len-lt 9 --srh-segs-left-eq 2 --srh-segs-left-lt 2 --srh-last-entry-eq 4 --srh-last-entry-gt 4 ; OK
-m srh ! --srh-next-hdr 17 ! --srh-tag 3 --srh-psid a::/64 --srh-nsid b::/128 ! --srh-lsid c::/0 ; = ; OK
-m srh ; = ; OK
-m srh --srh-next-hdr 6 --srh-psid a::1 ; -m srh --srh-next-hdr 6 --srh-psid a::1/128 ; OK
-m srh --srh-next-hdr 300 ; ; FAIL
-m srh --srh-tag 70000 ; ; FAIL
