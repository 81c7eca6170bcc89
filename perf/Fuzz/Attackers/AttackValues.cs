namespace Dbt.Perf.Fuzz.Attackers;

/// <summary>Numbers that hypercalls and page tables take for something: drawn from a case, more often half right than not.</summary>
internal sealed class AttackValues
{
    private static readonly uint[] s_odd =
    [
        0, 1, 2, 3, 7, 8, 31, 32, 63, 64, 127, 128, 255, 512, 1023, 1024, 0xFFF, 0x1000, 0x7FEF, 0x7FF0, 0x7FF1, 0x7FF2, 0x7FF4, 0x7FFF, 0xFFFF, 0xFFFFF, 0x100000,
        0x1FFFFF, 0x7FFFFFFF, 0x80000000, 0xF57FFFFC, 0xF5800000, 0xF5FFFFFC, 0xF6800000, 0xFC000000, 0xFEE00000, 0xFFFFF000, 0xFFFFFFF8, 0xFFFFFFFC, 0xFFFFFFFF,
    ];

    private static readonly ulong[] s_flags =
    [
        0, 1, 1 | 2, 1 | 4, 1 | 2 | 4, 1 | 2 | 4 | 32 | 64, 1 | 32, 1 | 2 | 64, 1 | 128, 1 | 8, 1 | 16, 1 | 256, 1UL << 63 | 1, 1UL << 63 | 3, 1UL << 62 | 1, 1UL << 52 | 3, 3 | 7 << 9,
    ];

    private readonly FuzzInput _input;
    private readonly Attacker _self;
    private readonly uint[] _foreign;
    private readonly uint[] _domains;

    /// <param name="input">The case.</param>
    /// <param name="self">Whose attack it is.</param>
    /// <param name="others">Other attackers.</param>
    /// <param name="arena">Where they are.</param>
    public AttackValues(FuzzInput input, Attacker self, IEnumerable<Attacker> others, FuzzArena arena)
    {
        (_input, _self) = (input, self);
        Attacker[] all = [.. others];
        _foreign =
        [
            .. arena.Neighbour.Frames.Take(4), arena.Neighbour.Root, arena.Neighbour.Domain.SharedInfoMfn, 0, arena.Hypervisor.Machine.FrameCount - 1, arena.Hypervisor.Machine.FrameCount,
            self.Domain.SharedInfoMfn, self.Domain.Grants.TryGetFrame(0), .. all.SelectMany(other => other.Pages.Take(4).Concat(other.TableFrames)),
        ];
        _domains = [0x7FF0, 0, self.Domain.Id, arena.Neighbour.Domain.Id, .. all.Select(other => (uint)other.Domain.Id), 0x7FF1, 0x7FF2, 0x7FF4, 77];
    }

    /// <summary>Anything.</summary>
    public uint Any() => _input.Below(16) switch
    {
        0 or 1 => (uint)_input.Below(16),
        2 => _input.Of<uint>(s_odd),
        3 => Pointer(),
        4 => Frame(),
        5 => (Frame() << 12) | (uint)(_input.Word() & 0xFFF),
        6 => Linear(),
        7 => Domain(),
        8 => (uint)_input.Below(64),
        9 => (uint)Entry(),
        10 => (uint)(Entry() >> 32),
        11 => Table() is var table and not 0 ? table : Frame(),
        12 => (uint)_input.Word(),
        13 => Attacker.GrantFrame + (uint)(_input.Word() & 0xFFC),
        14 => uint.MaxValue - (uint)_input.Below(16),
        _ => _input.Dword(),
    };

    /// <summary>A frame number.</summary>
    public uint Frame() => _input.Below(8) switch
    {
        0 => _input.Of<uint>(_foreign),
        1 when _self.TableFrames.Count != 0 => Table(),
        2 => _input.Word(),
        _ => _self.Pages[_input.Below(_self.Pages.Count)],
    };

    /// <summary>A page table of the attacker's own; 0 where it has none.</summary>
    public uint Table() => _self.TableFrames.Count == 0 ? 0 : _self.TableFrames[_input.Below(_self.TableFrames.Count)];

    /// <summary>A domain's number.</summary>
    public uint Domain() => _input.OneIn(2) ? 0x7FF0 : _input.Of<uint>(_domains);

    /// <summary>A pointer into the arguments, now and then just before the end of what is mapped, or to something else.</summary>
    public uint Pointer() => _input.Below(8) switch
    {
        0 => Attacker.ArgumentsEnd - (uint)_input.Below(16),
        1 => Linear(),
        2 => _input.Of<uint>(s_odd),
        _ => Attacker.Arguments + ((uint)_input.Below(1024) * 16),
    };

    /// <summary>A linear address.</summary>
    public uint Linear() => _input.Below(8) switch
    {
        0 => Attacker.Tables + ((uint)_input.Below(4) << 12) + ((uint)_input.Below(512) * 8),
        1 => Attacker.More + ((uint)_input.Below(10) << 12) + (uint)(_input.Word() & 0xFFF),
        2 => Attacker.Tables + ((uint)_input.Below(4) << 12) + (uint)(_input.Word() & 0xFFF),
        3 => _input.Of<uint>(s_odd),
        4 => _input.Dword(),
        5 => ((uint)_input.Below(4) << 30) | ((uint)_input.Below(4) << 21) | ((uint)_input.Below(96) << 12),
        _ => (uint)_input.Below(96) << 12,
    };

    /// <summary>A page-table entry.</summary>
    public ulong Entry() => _input.Below(10) == 0
        ? _input.Dword() | ((ulong)_input.Dword() << 32)
        : ((ulong)Frame() << 12) | _input.Of<ulong>(s_flags);

    /// <summary>Machine address of a page-table entry, or what is taken for one, with a command in its low bits.</summary>
    public ulong EntryAddress()
    {
        uint table = _input.Below(4) == 0 ? Frame() : Table();
        uint index = _input.Below(4) == 0 ? (uint)_input.Below(512) : (uint)_input.Below(96);
        return ((ulong)table << 12) + (index * 8) + (_input.OneIn(4) ? (uint)_input.Below(8) : 0);
    }
}
