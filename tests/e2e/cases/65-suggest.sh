# shellcheck shell=bash
# From a profile that allows nothing to one under which an application works. Larger ones are in `make suggest`.

httpd_works() {
    app_starts httpd /run/httpd /bin/busybox httpd -f -p 127.0.0.1:8090 -h /srv/www
    eventually 60 'httpd answers' app_answers 8090/index.html welcome
    app_answers 8090/sub/page.txt 'a page'
    in_node node-1 wget -q -O /dev/null http://127.0.0.1:8090/missing && fail 'it has what it has not'
    app_answers 8090/cgi-bin/hello 'from a script'
    app_ends TERM
}
test_suggested_rules_are_enough_for_busybox_httpd() {
    in_node node-1 sh -c 'mkdir -p /run/httpd && cd /run/httpd && mkdir -p bin dev proc tmp etc srv/www/sub srv/www/cgi-bin &&
        cp /bin/busybox bin/busybox && ln -s busybox bin/sh && echo welcome >srv/www/index.html && echo "a page" >srv/www/sub/page.txt &&
        printf "#!/bin/sh\necho Content-Type: text/plain\necho\necho from a script\n" >srv/www/cgi-bin/hello && chmod 755 srv/www/cgi-bin/hello'
    app_test httpd
    in_node node-1 rm -rf /run/httpd
}
