vcl 4.1;

# A cache of images: varnishd -a :8080 -f /etc/varnish/images.vcl
#   -s images=file,/var/cache/varnish/images,200g

backend origin {
    .host = "origin.example";
    .port = "8080";
}

sub vcl_recv {
    if (req.method != "GET") {
        return (pass);
    }
    # Varnish would fetch the whole image for a part of it. So each part, as
    # agents ask for it, is an object of its own.
    unset req.http.X-Range;
    if (req.http.Range) {
        set req.http.X-Range = req.http.Range;
        unset req.http.Range;
    }
    return (hash);
}

sub vcl_hash {
    # Beside the host and the URL, with the signature of a temporary URL.
    hash_data(req.http.X-Range);
}

sub vcl_backend_fetch {
    unset bereq.http.If-Match;
    if (bereq.http.X-Range) {
        set bereq.http.Range = bereq.http.X-Range;
        unset bereq.http.X-Range;
    }
}

sub vcl_backend_response {
    if (beresp.status == 206) {
        # It keeps whole answers only: this is one, until it is delivered.
        set beresp.http.X-Content-Range = beresp.http.Content-Range;
        unset beresp.http.Content-Range;
        set beresp.status = 200;
        set beresp.ttl = 7d;
        unset beresp.http.Set-Cookie;
        unset beresp.http.Vary;
        return (deliver);
    }
    if (beresp.status != 200) {
        set beresp.uncacheable = true;
        set beresp.ttl = 0s;
        return (deliver);
    }
}

sub vcl_deliver {
    if (resp.http.X-Content-Range) {
        set resp.http.Content-Range = resp.http.X-Content-Range;
        unset resp.http.X-Content-Range;
        set resp.status = 206;
    }
    if (obj.hits > 0) {
        set resp.http.X-Cache = "HIT";
    } else {
        set resp.http.X-Cache = "MISS";
    }
}
