using System.Net.Sockets;
using System.Runtime.InteropServices;
using System.Text;
using Dbt.Devices.Network.Host;
using Dbt.Devices.Network.Offload;
using Dbt.Runtime;

namespace Dbt.Devices.Network.Tap;

/// <summary>
/// A TAP device of the host: the guest's card is a network interface of the host's kernel, to be bridged or routed there. Checksums and
/// large TCP frames are left to the kernel, both ways. The device is made where the user may do so, and goes with us; one that was there
/// (<c>ip tuntap add</c>) stays.
/// </summary>
public sealed unsafe class TapDevice : INetworkBackend
{
    private const string Path = "/dev/net/tun";
    private const int MaxName = 15, MaxFrame = 65_549;

    // linux/if_tun.h and sockios.h; struct ifreq is 40 bytes with 16 of name before the flags.
    private const nuint SetInterface = 0x400454CA, SetOffload = 0x400454D0, SetHeaderSize = 0x400454D8;
    private const nuint GetFlags = 0x8913, SetFlags = 0x8914;
    private const int RequestLength = 40, NameLength = 16;
    private const short Up = 1;
    private const short Tap = 2, NoPacketInfo = 0x1000, VirtioHeaders = 0x4000;
    private const nuint OffloadChecksum = 1, OffloadTcpV4 = 2, OffloadTcpV6 = 4, OffloadEcn = 8;

    private readonly int _descriptor;
    private readonly WakeEvent _wake = new();
    private readonly Thread _thread;
    private readonly FrameAdapter _adapter = new();
    private INetworkEnd? _guest;
    private long _dropped;
    private volatile bool _full;
    private volatile bool _room = true;
    private volatile bool _stopping;
    private readonly ThreadSettling _settling = new();

    private TapDevice(int descriptor, string name)
    {
        _descriptor = descriptor;
        Name = name;
        _thread = new Thread(Run) { Name = $"tap {name}", IsBackground = true };
    }

    /// <inheritdoc/>
    public event Action? RoomAvailable;

    /// <summary>The interface's name on the host.</summary>
    public string Name { get; }

    /// <inheritdoc/>
    public LinkFeatures Features => new(true, true, true);

    /// <summary>Frames that the kernel would not have (the interface is down), or that were not what they said.</summary>
    public long Dropped => Volatile.Read(ref _dropped);

    /// <summary>Opens a device.</summary>
    /// <param name="name">The interface's name, at most 15 bytes; <c>tap%d</c> for the first that is free.</param>
    /// <exception cref="HostException">The host has no TAP devices, doesn't let this user have it, or it is in use.</exception>
    public static TapDevice Open(string name)
    {
        byte[] bytes = Encoding.ASCII.GetBytes(name);
        if (!IsName(name))
        {
            throw new HostException($"'{name}' is no name of a network interface: 1 to {MaxName} characters without '/', ':' and spaces");
        }

        int descriptor = HostCalls.Open(Path, HostCalls.ReadWrite | HostCalls.NonBlocking | HostCalls.CloseOnExec);
        if (descriptor < 0)
        {
            throw CannotOpen(Marshal.GetLastPInvokeError());
        }

        bool isNew = !Directory.Exists("/sys/class/net/" + name);
        Span<byte> request = stackalloc byte[RequestLength];
        request.Clear();
        bytes.CopyTo(request);
        BitConverter.TryWriteBytes(request[NameLength..], (short)(Tap | NoPacketInfo | VirtioHeaders));
        int headerSize = VirtioHeader.Length;
        int result;
        fixed (byte* pointer = request)
        {
            result = HostCalls.Control(descriptor, SetInterface, pointer);
        }

        if (result < 0)
        {
            int error = Marshal.GetLastPInvokeError();
            HostCalls.Close(descriptor);
            throw CannotAttach(name, error);
        }

        nuint offloads = OffloadChecksum | OffloadTcpV4 | OffloadTcpV6 | OffloadEcn;
        if (HostCalls.Control(descriptor, SetHeaderSize, &headerSize) < 0 || HostCalls.Control(descriptor, SetOffload, (void*)offloads) < 0)
        {
            int error = Marshal.GetLastPInvokeError();
            HostCalls.Close(descriptor);
            throw new HostException($"the host's kernel doesn't do checksums for TAP devices (error {error}); it has to be Linux 2.6.27 or later");
        }

        if (isNew)
        {
            BringUp(request);
        }

        int end = request[..NameLength].IndexOf((byte)0);
        return new TapDevice(descriptor, Encoding.ASCII.GetString(request[..end]));
    }

    /// <summary>Whether an interface may have a name.</summary>
    internal static bool IsName(string name) =>
        name.Length is > 0 and <= MaxName && name.All(static c => c is > ' ' and <= '~' and not ('/' or ':')) && name is not ("." or "..");

    /// <inheritdoc/>
    public void Connect(INetworkEnd guest)
    {
        _guest = guest;
        guest.RoomAvailable += GuestHasRoom;
        _thread.Start();
    }

    /// <inheritdoc/>
    public void Discard()
    {
        // More than the kernel keeps for a device by default (1000), so that a flood of frames doesn't keep us here.
        const int most = 4096;
        byte* some = stackalloc byte[VirtioHeader.Length];
        for (int i = 0; i < most && HostCalls.Read(_descriptor, some, VirtioHeader.Length) > 0; i++)
        {
        }
    }

    /// <inheritdoc/>
    public bool Send(ReadOnlySpan<byte> frame, FrameOffload offload)
    {
        byte* header = stackalloc byte[VirtioHeader.Length];
        if (!VirtioHeader.TryWrite(new Span<byte>(header, VirtioHeader.Length), frame, offload))
        {
            Interlocked.Increment(ref _dropped);
            return true;
        }

        fixed (byte* bytes = frame)
        {
            HostCalls.Piece* pieces = stackalloc HostCalls.Piece[2];
            pieces[0] = new HostCalls.Piece { Start = header, Length = VirtioHeader.Length };
            pieces[1] = new HostCalls.Piece { Start = bytes, Length = (nuint)frame.Length };
            while (HostCalls.WriteVector(_descriptor, pieces, 2) < 0)
            {
                switch (Marshal.GetLastPInvokeError())
                {
                    case HostCalls.Interrupted:
                        break;
                    case HostCalls.Again:
                        _full = true;
                        _wake.Set();
                        return false;
                    default:
                        // EIO while the interface is down, EINVAL for what the kernel makes nothing of.
                        Interlocked.Increment(ref _dropped);
                        return true;
                }
            }
        }

        return true;
    }

    /// <inheritdoc/>
    public void Settle() => _settling.Ask(_wake);

    /// <inheritdoc/>
    public void Dispose()
    {
        if (_stopping)
        {
            return;
        }

        _stopping = true;
        _wake.Set();
        if (_guest is not null)
        {
            _guest.RoomAvailable -= GuestHasRoom;
            _thread.Join();
        }

        _wake.Dispose();
        _settling.Dispose();
        HostCalls.Close(_descriptor);
    }

    private static HostException CannotOpen(int error) => error switch
    {
        HostCalls.NoEntry or HostCalls.NoDevice or HostCalls.NoSuchDevice =>
            new HostException($"this host has no {Path}: load its module (modprobe tun), or use bridge=user, which needs none"),
        HostCalls.NotPermitted or HostCalls.AccessDenied =>
            new HostException($"no permission for {Path}: let this user have it, or use bridge=user, which needs none"),
        _ => new HostException($"{Path} can't be opened (error {error})"),
    };

    private static HostException CannotAttach(string name, int error) => error switch
    {
        HostCalls.NotPermitted or HostCalls.AccessDenied =>
            new HostException($"this user may not have the TAP device {name}; as root: ip tuntap add dev {name} mode tap user {Environment.UserName} && ip link set {name} up"),
        HostCalls.Busy => new HostException($"the TAP device {name} is in use by another program"),
        HostCalls.Invalid => new HostException($"{name} is a network interface, but no TAP device that one guest may have (ip tuntap add dev NAME mode tap)"),
        _ => new HostException($"the TAP device {name} can't be opened (error {error})"),
    };

    // Who may make an interface may bring it up; where that fails after all, the user sees it down and can.
    private static void BringUp(Span<byte> request)
    {
        using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);
        var descriptor = (int)socket.Handle;
        fixed (byte* pointer = request)
        {
            if (HostCalls.Control(descriptor, GetFlags, pointer) == 0)
            {
                BitConverter.TryWriteBytes(request[NameLength..], (short)(BitConverter.ToInt16(request[NameLength..]) | Up));
                _ = HostCalls.Control(descriptor, SetFlags, pointer);
            }
        }
    }

    private void GuestHasRoom()
    {
        _room = true;
        _wake.Set();
    }

    private void Run()
    {
        Serve();
        _settling.End();
    }

    private void Serve()
    {
        var reader = new FrameReader(_descriptor, VirtioHeader.Length + MaxFrame, _settling, TryTake);
        HostCalls.PollEntry* entries = stackalloc HostCalls.PollEntry[2];
        while (!_stopping)
        {
            bool reading = !reader.IsHolding;
            entries[0] = new HostCalls.PollEntry { Descriptor = _wake.Descriptor, Wanted = HostCalls.PollIn };
            entries[1] = new HostCalls.PollEntry
            {
                Descriptor = reading || _full ? _descriptor : -1,
                Wanted = (short)((reading ? HostCalls.PollIn : 0) | (_full ? HostCalls.PollOut : 0)),
            };
            if (HostCalls.Poll(entries, 2, -1) < 0)
            {
                continue; // interrupted
            }

            if (entries[0].Ready != 0)
            {
                _wake.Reset();
            }

            if ((entries[1].Ready & (HostCalls.PollError | HostCalls.PollHangUp)) != 0)
            {
                return; // the interface was removed: there is nothing to come any more, and what is sent is dropped
            }

            if ((entries[1].Ready & HostCalls.PollOut) != 0)
            {
                _full = false;
                RoomAvailable?.Invoke();
            }

            reader.Serve(_room);
        }
    }

    // Gives the guest a frame.
    private bool TryTake(ReadOnlySpan<byte> all, ref int sent)
    {
        _room = false;
        if (all.Length > VirtioHeader.Length && VirtioHeader.TryRead(all, out FrameOffload offload))
        {
            return _adapter.Send(_guest!, all[VirtioHeader.Length..], offload, ref sent);
        }

        Interlocked.Increment(ref _dropped);
        return true;
    }
}
