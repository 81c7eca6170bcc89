using System.Net;

namespace Dbt.Devices.Network.Nat;

/// <summary>The host's name servers, by its resolv.conf(5), read again when it has changed.</summary>
internal sealed class HostResolver(string path)
{
    private DateTime _read;
    private IPEndPoint[] _servers = [];
    private int _index;

    /// <summary>Where a question goes now. Where the file names none, resolvers ask the host itself.</summary>
    public IPEndPoint Current
    {
        get
        {
            Refresh();
            return _servers[_index];
        }
    }

    /// <summary>A server can't be reached: the next one is asked.</summary>
    public void Failed(IPEndPoint server)
    {
        if (_servers.Length > 0 && _servers[_index].Equals(server))
        {
            _index = (_index + 1) % _servers.Length;
        }
    }

    private void Refresh()
    {
        DateTime written = File.GetLastWriteTimeUtc(path);
        if (_servers.Length > 0 && written == _read)
        {
            return;
        }

        _read = written;
        _index = 0;
        IPEndPoint[] found = [.. Lines().Select(Parse).OfType<IPAddress>().Select(address => new IPEndPoint(address, NatAddresses.DnsPort))];
        _servers = found.Length > 0 ? found : [new IPEndPoint(IPAddress.Loopback, NatAddresses.DnsPort)];
    }

    private string[] Lines()
    {
        try
        {
            return File.ReadAllLines(path);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return [];
        }
    }

    private static IPAddress? Parse(string line)
    {
        string[] words = line.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries);
        return words.Length >= 2 && words[0] == "nameserver" && IPAddress.TryParse(words[1], out IPAddress? address) ? address : null;
    }
}
