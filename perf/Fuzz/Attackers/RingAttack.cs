using System.Globalization;
using System.Text;
using Dbt.Devices.Store;
using Dbt.Xen.Hypercalls;

namespace Dbt.Perf.Fuzz.Attackers;

/// <summary>An attacker's drivers: what they write into xenstore, onto rings and into grants, and the events that they send, in any order.</summary>
internal sealed unsafe class RingAttack
{
    /// <summary>The disks' numbers: one that may be written, one that may not.</summary>
    public const string Disk = "51712", ReadOnlyDisk = "51728";

    private const uint FirstReference = 8, References = 48, ConsoleIndices = 3072, StoreIndices = 2048;
    private const int EventChannelOp = 32, Close = 3, Send = 4;
    private static readonly uint[] s_wild = [0, 1, 2, 31, 32, 33, 63, 64, 255, 256, 257, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0xFFFFFFE0];
    private static readonly string[] s_nodes =
    [
        "state", "ring-ref", "ring-ref0", "ring-ref1", "ring-page-order", "num-ring-pages", "event-channel", "protocol", "feature-persistent", "multi-queue-num-queues", "queue-0/ring-ref",
        "queue-0/event-channel", "queue-1/ring-ref", "queue-1/event-channel", "tx-ring-ref", "rx-ring-ref", "ctrl-ring-ref", "event-channel-ctrl", "event-channel-tx", "event-channel-rx", "request-rx-copy",
        "feature-rx-notify", "feature-sg", "feature-gso-tcpv4", "feature-gso-tcpv6", "feature-ipv6-csum-offload", "backend", "backend-id", "virtual-device", "mac",
    ];

    private readonly FuzzArena _arena;
    private readonly Attacker _attacker;
    private readonly RingCable _cable;
    private readonly uint[] _ports = new uint[6];

    public RingAttack(FuzzArena arena, Attacker attacker, RingCable cable)
    {
        (_arena, _attacker, _cable) = (arena, attacker, cable);
        for (uint i = 0; i < References; i++)
        {
            attacker.Domain.Grants.TryGrantToBackend(FirstReference + i, attacker.Pages[(int)i % 48]);
        }

        for (int i = 0; i < _ports.Length; i++)
        {
            attacker.Domain.Events.TryAllocateForBackend(out _ports[i]);
        }
    }

    private string Home => StorePath.Home(_attacker.Domain.Id);

    /// <summary>Does the next thing that the case says.</summary>
    public void Step(FuzzInput input)
    {
        switch (input.Below(24))
        {
            case 0 or 1:
                ConnectDisk(input, input.OneIn(4) ? ReadOnlyDisk : Disk);
                break;
            case 2 or 3:
                ConnectCard(input);
                break;
            case 4:
                Write(Front(input) + "/" + input.Of<string>(s_nodes), Value(input));
                break;
            case 5:
                Write(Front(input) + "/state", Number(input.Below(9)));
                break;
            case 6 or 7 or 8 or 9 or 10:
                PutBlockRequests(input);
                break;
            case 11 or 12 or 13 or 14:
                PutSlots(input);
                break;
            case 15:
                Post(input);
                break;
            case 16:
                FillPage(input);
                break;
            case 17:
                ChangeGrant(input);
                break;
            case 18:
                Signal(input.OneIn(4) ? input.Byte() : _ports[input.Below(_ports.Length)], input.OneIn(6) ? Close : Send);
                break;
            case 19:
                Scribble(input);
                break;
            case 20:
                ChangeIndices(input, Attacker.ConsoleRing + ConsoleIndices, _attacker.Domain.ConsolePort);
                break;
            case 21:
                ChangeIndices(input, Attacker.StoreRing + StoreIndices, _attacker.Domain.StorePort);
                break;
            case 22:
                SendFrames(input);
                break;
            default:
                Thread.Sleep(input.Below(3));
                break;
        }
    }

    private string Front(FuzzInput input) => Home + input.Of<string>(["/device/vbd/" + Disk, "/device/vbd/" + ReadOnlyDisk, "/device/vif/0"]);

    // As the guest, with its rights.
    private void Write(string path, string value)
    {
        byte[] bytes = Encoding.Latin1.GetBytes(value);
        StoreError error = _arena.Store.Locked(space => NodeOperations.Write(space, _attacker.Domain.Id, path, bytes));
        _arena.Notes.Met("node", (long)error);
    }

    private string Value(FuzzInput input) => input.Below(8) switch
    {
        0 => Number(input.Below(9)),
        1 => Number((int)Reference(input)),
        2 => Number((int)_ports[input.Below(_ports.Length)]),
        3 => "x86_64-abi",
        4 => input.Of(["", "-1", "4294967295", "4294967296", "99999999999999999999", "0x10", "1 ", "\u00FF"]),
        5 => new string('9', input.Below(300)),
        6 => "1",
        _ => Number(input.Word()),
    };

    private uint Reference(FuzzInput input) => input.OneIn(12) ? input.Word() : FirstReference + (uint)input.Below((int)References);

    private void ConnectDisk(FuzzInput input, string disk)
    {
        string front = $"{Home}/device/vbd/{disk}";
        int ring = disk == Disk ? 0 : 1;
        Write(front + "/state", "1");
        ResetRing(ring);
        Write(front + "/ring-ref", Number((int)FirstReference + ring));
        Write(front + "/event-channel", Number((int)_ports[ring]));
        Write(front + "/protocol", input.OneIn(3) ? "x86_64-abi" : "x86_32-abi");
        Write(front + "/feature-persistent", Number(input.Below(2)));
        if (input.OneIn(4))
        {
            Write($"{front}/{input.Of<string>(s_nodes)}", Value(input));
        }

        Write(front + "/state", "3");
        Write(front + "/state", "4");
    }

    private void ConnectCard(FuzzInput input)
    {
        string front = Home + "/device/vif/0";
        Write(front + "/state", "1");
        ResetRing(2);
        ResetRing(3);
        ResetRing(4);
        Write(front + "/tx-ring-ref", Number((int)FirstReference + 2));
        Write(front + "/rx-ring-ref", Number((int)FirstReference + 3));
        Write(front + "/event-channel", Number((int)_ports[2]));
        Write(front + "/request-rx-copy", "1");
        int features = input.Byte();
        for (int i = 0; i < 5; i++)
        {
            Write($"{front}/{s_nodes[21 + i]}", (features & (1 << i)) != 0 ? "1" : "0");
        }

        if (input.OneIn(3))
        {
            Write(front + "/ctrl-ring-ref", Number((int)FirstReference + 4));
            Write(front + "/event-channel-ctrl", Number((int)_ports[3]));
        }

        if (input.OneIn(4))
        {
            Write($"{front}/{input.Of<string>(s_nodes)}", Value(input));
        }

        Write(front + "/state", "4");
    }

    private static uint Page(int ring) => (uint)ring << 12;

    private void ResetRing(int ring)
    {
        new Span<byte>(_attacker.At(Page(ring)), 4096).Clear();
        (_attacker.Word(Page(ring) + 4), _attacker.Word(Page(ring) + 12)) = (1, 1);
    }

    private void PutBlockRequests(FuzzInput input)
    {
        int ring = input.OneIn(4) ? 1 : 0;
        uint producer = _attacker.Word(Page(ring));
        int count = 1 + input.Below(8);
        for (uint i = 0; i < count; i++)
        {
            uint at = Page(ring) + 64 + ((producer + i) % 32 * 108);
            var entry = new Span<byte>(_attacker.At(at), 108);
            input.Fill(entry[..12]);
            entry[0] = input.Of<byte>([0, 0, 1, 1, 2, 3, 5, 6, 4, 7, 255]);
            entry[1] = (byte)(input.OneIn(8) ? input.Byte() : input.Below(12));
            _attacker.Word(at + 12) = input.OneIn(6) ? input.Dword() : (uint)input.Below(512);
            _attacker.Word(at + 16) = input.OneIn(10) ? input.Dword() : 0;
            for (uint segment = 0; segment < 11; segment++)
            {
                _attacker.Word(at + 20 + (segment * 8)) = Reference(input);
                entry[(int)(24 + (segment * 8))] = (byte)input.Below(9);
                entry[(int)(25 + (segment * 8))] = (byte)input.Below(9);
            }
        }

        Volatile.Write(ref _attacker.Word(Page(ring)), input.OneIn(16) ? producer + input.Of<uint>(s_wild) : producer + (uint)count);
        Signal(_ports[ring], Send);
    }

    private void PutSlots(FuzzInput input)
    {
        uint producer = _attacker.Word(Page(2));
        int count = 1 + input.Below(20);
        for (uint i = 0; i < count; i++)
        {
            uint at = Page(2) + 64 + ((producer + i) % 256 * 12);
            _attacker.Word(at) = Reference(input);
            _attacker.Word(at + 4) = (uint)(input.OneIn(4) ? input.Word() : input.Below(64)) | ((uint)input.Below(16) << 16);
            _attacker.Word(at + 8) = i | ((uint)(input.OneIn(4) ? input.Word() : input.Below(2000)) << 16);
            if (input.OneIn(5))
            {
                // struct netif_extra_info.
                input.Fill(new Span<byte>(_attacker.At(at), 12));
                *_attacker.At(at) = (byte)input.Below(6);
            }
        }

        Volatile.Write(ref _attacker.Word(Page(2)), input.OneIn(16) ? producer + input.Of<uint>(s_wild) : producer + (uint)count);
        Signal(_ports[2], Send);
    }

    private void Post(FuzzInput input)
    {
        uint producer = _attacker.Word(Page(3));
        int count = 1 + input.Below(40);
        for (uint i = 0; i < count; i++)
        {
            uint at = Page(3) + 64 + ((producer + i) % 256 * 8);
            (_attacker.Word(at), _attacker.Word(at + 4)) = (i, Reference(input));
        }

        Volatile.Write(ref _attacker.Word(Page(3)), input.OneIn(16) ? producer + input.Of<uint>(s_wild) : producer + (uint)count);
        Signal(_ports[2], Send);
    }

    private void FillPage(FuzzInput input)
    {
        uint at = Page(input.Below(5)) + (uint)input.Below(4096 - 64);
        input.Fill(new Span<byte>(_attacker.At(at), input.Below(64)));
        Signal(_ports[input.Below(4)], Send);
    }

    private void ChangeGrant(FuzzInput input)
    {
        uint at = Attacker.GrantFrame + (Reference(input) % 512 * 8);
        _attacker.Word(at + 4) = input.Below(4) switch
        {
            0 => _arena.Neighbour.Frames[input.Below(32)],
            1 => _attacker.TableFrames[input.Below(_attacker.TableFrames.Count)],
            2 => input.Dword(),
            _ => _attacker.Pages[input.Below(_attacker.Pages.Count)],
        };
        _attacker.Word(at) = input.Of<uint>([0, 1, 1, 5, 2, 3, 0x19, 0x101]) | ((uint)input.Below(3) << 16);
    }

    // Words that change while the back end may look at them (XSA-155).
    private void Scribble(FuzzInput input)
    {
        uint at = Page(input.Below(5)) + ((uint)input.Below(1024) * 4);
        (uint first, uint second) = (_attacker.Word(at), input.Dword());
        Signal(_ports[input.Below(4)], Send);
        for (int i = 0; i < 4000; i++)
        {
            Volatile.Write(ref _attacker.Word(at), (i & 1) == 0 ? second : first);
        }
    }

    private void ChangeIndices(FuzzInput input, uint indices, uint port)
    {
        uint at = indices + ((uint)input.Below(7) * 4);
        Volatile.Write(ref _attacker.Word(at), input.OneIn(2) ? _attacker.Word(at) + (uint)input.Below(100) : input.Of<uint>(s_wild));
        Signal(port, Send);
    }

    private void SendFrames(FuzzInput input)
    {
        byte[] frame = new byte[14 + (input.OneIn(4) ? input.Word() % 9000 : input.Below(1500))];
        input.Fill(frame.AsSpan(0, Math.Min(frame.Length, 64)));
        for (int i = input.Below(30); i >= 0; i--)
        {
            _cable.SendToGuest(frame);
        }
    }

    private void Signal(uint port, int command)
    {
        _attacker.Word(Attacker.Arguments) = port;
        _ = HypercallDispatch.Call(_attacker.Domain.Vcpus[0], EventChannelOp, new HypercallArguments((uint)command, Attacker.Arguments, 0, 0, 0, 0));
    }

    private static string Number(int value) => value.ToString(CultureInfo.InvariantCulture);
}
