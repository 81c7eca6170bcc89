using System.Net;
using System.Net.Sockets;

namespace Dbt.Tests.Devices.Nat;

/// <summary>A test that needs port 53 of a loopback address.</summary>
internal sealed class RootPortFactAttribute : FactAttribute
{
    public const string Address = "127.77.5.3";

    public RootPortFactAttribute()
    {
        try
        {
            using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);
            socket.Bind(new IPEndPoint(IPAddress.Parse(Address), 53));
        }
        catch (SocketException exception)
        {
            Skip = $"port 53 of {Address} can't be had, it is for root: {exception.Message}";
        }
    }
}
