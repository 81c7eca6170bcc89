using System.Net;
using System.Net.Sockets;
using System.Runtime.InteropServices;

namespace Dbt.Devices.Network.Nat;

/// <summary>Makes the host's sockets: non-blocking, and without exceptions where a guest's wish decides whether it works.</summary>
internal static unsafe partial class HostSocket
{
    private const int Again = 11, InProgress = 115;

    /// <summary>A non-blocking socket; null where the host gives none (limits, or not allowed).</summary>
    public static Socket? Create(AddressFamily family, SocketType type, ProtocolType protocol)
    {
        try
        {
            return new Socket(family, type, protocol) { Blocking = false };
        }
        catch (SocketException)
        {
            return null;
        }
    }

    /// <summary>Starts to connect. <see cref="Socket.Connect(EndPoint)"/> would throw for every connection that isn't made at once.</summary>
    /// <returns>Success where it is connected, <see cref="SocketError.InProgress"/>, or why not.</returns>
    public static SocketError Connect(Socket socket, IPEndPoint target)
    {
        SocketAddress address = target.Serialize();
        fixed (byte* bytes = address.Buffer.Span)
        {
            if (Connect((int)socket.Handle, bytes, (uint)address.Size) == 0)
            {
                return SocketError.Success;
            }
        }

        return Marshal.GetLastPInvokeError() switch
        {
            InProgress or Again => SocketError.InProgress,
            111 => SocketError.ConnectionRefused,
            101 => SocketError.NetworkUnreachable,
            113 => SocketError.HostUnreachable,
            110 => SocketError.TimedOut,
            1 or 13 => SocketError.AccessDenied,
            _ => SocketError.SocketError,
        };
    }

    /// <summary>The error that waits on a socket.</summary>
    public static SocketError PendingError(Socket socket)
    {
        try
        {
            return (SocketError)(int)socket.GetSocketOption(SocketOptionLevel.Socket, SocketOptionName.Error)!;
        }
        catch (SocketException exception)
        {
            return exception.SocketErrorCode;
        }
    }

    /// <summary>Tells the other side that no more is sent.</summary>
    public static void ShutdownSend(Socket socket)
    {
        try
        {
            socket.Shutdown(SocketShutdown.Send);
        }
        catch (SocketException)
        {
            // The other side has reset the connection; reading says so.
        }
    }

    /// <summary>Closes with a reset instead of an orderly end.</summary>
    public static void Abort(Socket socket)
    {
        try
        {
            socket.LingerState = new LingerOption(true, 0);
        }
        catch (SocketException)
        {
            // It is reset already.
        }

        socket.Dispose();
    }

    [LibraryImport("libc", EntryPoint = "connect", SetLastError = true)]
    private static partial int Connect(int descriptor, byte* address, uint length);
}
