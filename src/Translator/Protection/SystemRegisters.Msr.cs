using Dbt.Translator.State;
using static Dbt.Translator.Protection.ControlBits;

namespace Dbt.Translator.Protection;

/// <summary>The model-specific registers that belong to the core (SDM vol. 4, table 2-2); all others are the owner's.</summary>
internal sealed unsafe partial class SystemRegisters
{
    private const uint Tsc = 0x10, MtrrCap = 0xFE, SysenterCs = 0x174, SysenterEsp = 0x175, SysenterEip = 0x176, DebugCtl = 0x1D9;
    private const uint MtrrFirst = 0x200, MtrrLast = 0x20F, Pat = 0x277, MtrrDefault = 0x2FF, EferIndex = 0xC0000080, TscAux = 0xC0000103;
    private const ulong PatAtReset = 0x0007040600070406;

    // Eight variable ranges, fixed ranges, write combining.
    private const ulong MtrrCapabilities = 0x508;

    // On, all memory write-back: what firmware leaves.
    private const ulong MtrrDefaultAtStart = 0x806;

    private readonly ulong[] _variableRanges = new ulong[16];
    private readonly ulong[] _fixedRanges = new ulong[11];
    private ulong _pat;
    private ulong _defaultType;

    /// <summary>IA32_EFER.</summary>
    public ulong Efer { get; private set; }

    /// <summary>IA32_SYSENTER_CS, ESP and EIP.</summary>
    public uint EntryCs { get; private set; }

    /// <summary>See <see cref="EntryCs"/>.</summary>
    public uint EntryEsp { get; private set; }

    /// <summary>See <see cref="EntryCs"/>.</summary>
    public uint EntryEip { get; private set; }

    /// <summary>RDMSR.</summary>
    public bool ReadMsr(CpuState* cpu)
    {
        uint index = cpu->Gpr[(int)Gpr.Ecx];
        if (!TryReadMsr(cpu, index, out ulong value))
        {
            return SystemUnit.Raise(cpu, Vector.GeneralProtection);
        }

        cpu->Gpr[(int)Gpr.Eax] = (uint)value;
        cpu->Gpr[(int)Gpr.Edx] = (uint)(value >> 32);
        return true;
    }

    /// <summary>WRMSR.</summary>
    public bool WriteMsr(CpuState* cpu)
    {
        ulong value = cpu->Gpr[(int)Gpr.Eax] | ((ulong)cpu->Gpr[(int)Gpr.Edx] << 32);
        return TryWriteMsr(cpu, cpu->Gpr[(int)Gpr.Ecx], value) || SystemUnit.Raise(cpu, Vector.GeneralProtection);
    }

    private void ResetMsrs()
    {
        (EntryCs, EntryEsp, EntryEip) = (0, 0, 0);
        _pat = PatAtReset;
        _defaultType = MtrrDefaultAtStart;
        Array.Clear(_variableRanges);
        Array.Clear(_fixedRanges);
    }

    private bool TryReadMsr(CpuState* cpu, uint index, out ulong value)
    {
        switch (index)
        {
            case Tsc:
                value = system.Owner.ReadTsc(cpu);
                return true;
            case MtrrCap:
                value = MtrrCapabilities;
                return true;
            case SysenterCs:
                value = EntryCs;
                return true;
            case SysenterEsp:
                value = EntryEsp;
                return true;
            case SysenterEip:
                value = EntryEip;
                return true;
            case DebugCtl:
                value = 0;
                return true;
            case >= MtrrFirst and <= MtrrLast:
                value = _variableRanges[index - MtrrFirst];
                return true;
            case Pat:
                value = _pat;
                return true;
            case MtrrDefault:
                value = _defaultType;
                return true;
            case EferIndex:
                value = Efer;
                return true;
            case TscAux:
                value = cpu->TscAux;
                return true;
            default:
                int range = FixedRange(index);
                if (range >= 0)
                {
                    value = _fixedRanges[range];
                    return true;
                }

                return system.Owner.TryReadMsr(index, out value);
        }
    }

    private bool TryWriteMsr(CpuState* cpu, uint index, ulong value)
    {
        switch (index)
        {
            case Tsc:
                system.Owner.WriteTsc(value);
                return true;
            case MtrrCap:
                return false;
            case TscAux when value <= uint.MaxValue:
                cpu->TscAux = (uint)value;
                return true;
            case SysenterCs:
                EntryCs = (uint)value;
                return true;
            case SysenterEsp:
                EntryEsp = (uint)value;
                return true;
            case SysenterEip:
                EntryEip = (uint)value;
                return true;
            case DebugCtl:
                return value == 0; // no branch records, no single step on branches
            case >= MtrrFirst and <= MtrrLast:
                _variableRanges[index - MtrrFirst] = value;
                return true;
            case Pat:
                if (!IsPat(value))
                {
                    return false;
                }

                _pat = value;
                return true;
            case MtrrDefault:
                if ((value & ~0xCFFUL) != 0)
                {
                    return false;
                }

                _defaultType = value;
                return true;
            case EferIndex:
                return TrySetEfer(value);
            default:
                int range = FixedRange(index);
                if (range >= 0)
                {
                    _fixedRanges[range] = value;
                    return true;
                }

                return system.Owner.TryWriteMsr(index, value);
        }
    }

    private bool TrySetEfer(ulong value)
    {
        if ((value & ~EferNxe) != 0)
        {
            return false;
        }

        if (Efer != value)
        {
            Efer = value;
            system.Owner.FlushAll();
        }

        return true;
    }

    // Types 0, 1, 4, 5, 6, 7 in each byte.
    private static bool IsPat(ulong value)
    {
        for (int i = 0; i < 8; i++)
        {
            if (((value >> (i * 8)) & 0xFF) is not (0 or 1 or 4 or 5 or 6 or 7))
            {
                return false;
            }
        }

        return true;
    }

    private static int FixedRange(uint index) => index switch
    {
        0x250 => 0,
        0x258 => 1,
        0x259 => 2,
        >= 0x268 and <= 0x26F => (int)(index - 0x268) + 3,
        _ => -1,
    };
}
