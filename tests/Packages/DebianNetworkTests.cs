using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Text;
using Dbt.Tests.Devices.Nat;

namespace Dbt.Tests.Packages;

/// <summary>Debian's own kernel and busybox on the user network, with servers and a client of the host's loopback.</summary>
public sealed class DebianNetworkTests : IDisposable
{
    // DBT_NETWORK_MIB makes it long, with translated code: 1024 is what docs/PERFORMANCE.md has.
    private static readonly int MebiBytes =
        int.TryParse(Environment.GetEnvironmentVariable("DBT_NETWORK_MIB"), NumberStyles.None, CultureInfo.InvariantCulture, out int value) ? value : 0;

    private readonly string _folder = Directory.CreateTempSubdirectory("dbt-network").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [RequiresPackageFact(ScriptGuest.Kernel, ScriptGuest.Busybox)]
    public void AddressDownloadUploadAndAPortOfTheHost()
    {
        int length = Math.Max(MebiBytes, 1) << 20;
        byte[] pattern = new byte[1 << 20];
        new Random(1).NextBytes(pattern);
        string? uploaded = null;
        using var web = new HostServer(socket => ServePage(socket, pattern, length));
        using var sink = new HostServer(async socket => uploaded = await Digest(socket));
        using var free = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        free.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        int port = ((IPEndPoint)free.LocalEndPoint!).Port;
        free.Dispose();

        // The upload is of busybox itself where it is short; nc takes 1 KiB at a time, so a long one goes by httpd's sendfile instead.
        string script = $$"""
            cat > /lease <<'END'
            #!/bin/sh
            [ "$1" = bound ] || exit 0
            ip addr add $ip/24 dev eth0
            ip route add default via $router
            echo "lease: $ip $router $dns $hostname"
            END
            chmod +x /lease
            ip link set lo up
            ip link set eth0 up
            udhcpc -q -n -i eth0 -s /lease > /log 2>&1
            grep lease: /log
            ping -c 1 10.0.2.2 > /dev/null && echo "ping: yes"
            echo "down: $(wget -q -O - http://10.0.2.2:{{web.Port}}/ | sha256sum)"
            nc 10.0.2.2 {{sink.Port}} < /bin/busybox
            wget -q -O /dev/null http://10.0.2.2:1/ || echo "refused: yes"
            mkdir /www
            truncate -s {{length}} /www/file
            httpd -p 80 -h /www
            echo "serving: yes"
            read line
            """;
        string[] engine = MebiBytes > 0 ? [] : ["--engine", "interpreter"];
        using var guest = new ScriptGuest(_folder, script, ["xen-netfront"], [.. engine, "name=net", "memory=96", $"vif=['forward=tcp:{port}:80']"], timeout: 3000);
        Assert.Equal("10.0.2.15 10.0.2.2 10.0.2.3 net", guest.WaitFor("lease: "));
        guest.WaitFor("ping: yes");
        string down = guest.WaitFor("down: ");
        guest.WaitFor("refused: yes");
        guest.WaitFor("serving: yes");
        using (var client = new HttpClient { Timeout = Timeout.InfiniteTimeSpan })
        using (Stream file = client.GetStreamAsync(new Uri($"http://127.0.0.1:{port}/file")).GetAwaiter().GetResult())
        {
            Assert.Equal(Repeated(new byte[1 << 20], length), Convert.ToHexStringLower(SHA256.HashData(file)));
        }

        guest.WriteLine("");
        Assert.Equal(0, guest.WaitForEnd());
        Assert.Equal(Repeated(pattern, length) + "  -", down);
        Assert.Equal(Convert.ToHexStringLower(SHA256.HashData(File.ReadAllBytes(DebianFiles.PathOf(ScriptGuest.Busybox)))), uploaded);
    }

    private static string Repeated(byte[] pattern, int length)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        for (int sent = 0; sent < length; sent += pattern.Length)
        {
            hash.AppendData(pattern);
        }

        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }

    private static async Task ServePage(Socket socket, byte[] pattern, int length)
    {
        var request = new byte[4096];
        _ = await socket.ReceiveAsync(request);
        await HostServer.Write(socket, Encoding.ASCII.GetBytes($"HTTP/1.0 200 OK\r\nContent-Length: {length}\r\n\r\n"));
        for (int sent = 0; sent < length; sent += pattern.Length)
        {
            await HostServer.Write(socket, pattern);
        }
    }

    private static async Task<string> Digest(Socket socket)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        var buffer = new byte[65536];
        for (int count = await socket.ReceiveAsync(buffer); count > 0; count = await socket.ReceiveAsync(buffer))
        {
            hash.AppendData(buffer, 0, count);
        }

        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }
}
