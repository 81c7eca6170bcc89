using System.Numerics;
using System.Runtime.CompilerServices;

namespace Dbt.Translator.State;

/// <summary>
/// The six status flags from the last operation's operands and result (see <see cref="FlagOperation"/>).
/// Every reader of EFLAGS goes through here.
/// </summary>
public static unsafe class LazyFlags
{
    /// <summary>Sets the flags to come from <paramref name="operation"/> of <paramref name="size"/> bytes; operands and result zero-extended.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Set(CpuState* cpu, FlagOperation operation, int size, uint a, uint b, uint result)
    {
        cpu->FlagOp = (uint)operation | ((uint)size << 8);
        cpu->FlagA = a;
        cpu->FlagB = b;
        cpu->FlagResult = result;
    }

    /// <summary>Sets all six status flags at once.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void SetStatus(CpuState* cpu, uint status)
    {
        cpu->FlagOp = (uint)FlagOperation.Materialised;
        cpu->Eflags = (cpu->Eflags & ~Flags.Status) | status;
    }

    /// <summary>The six status flags, at their places in EFLAGS; other bits 0.</summary>
    public static uint Status(CpuState* cpu)
    {
        uint op = cpu->FlagOp;
        var operation = (FlagOperation)(op & 0xFF);
        if (operation == FlagOperation.Materialised)
        {
            return cpu->Eflags & Flags.Status;
        }

        int size = (int)(op >> 8) & 0xFF;
        uint a = cpu->FlagA, b = cpu->FlagB, r = cpu->FlagResult;
        uint sign = 1u << ((size * 8) - 1);
        uint flags = ZeroSignParity(r, size);
        switch (operation)
        {
            case FlagOperation.Add:
                flags |= (r < a ? Flags.Cf : 0) | ((a ^ b ^ r) & Flags.Af);
                flags |= ((a ^ r) & (b ^ r) & sign) != 0 ? Flags.Of : 0;
                break;
            case FlagOperation.Subtract:
                flags |= (a < b ? Flags.Cf : 0) | ((a ^ b ^ r) & Flags.Af);
                flags |= ((a ^ b) & (a ^ r) & sign) != 0 ? Flags.Of : 0;
                break;
            case FlagOperation.Increment:
                flags |= b | ((r & 0xF) == 0 ? Flags.Af : 0) | (r == sign ? Flags.Of : 0);
                break;
            case FlagOperation.Decrement:
                flags |= b | ((r & 0xF) == 0xF ? Flags.Af : 0) | (r == sign - 1 ? Flags.Of : 0);
                break;
        }

        return flags;
    }

    /// <summary>Brings the status flags into <see cref="CpuState.Eflags"/>.</summary>
    public static void Materialise(CpuState* cpu)
    {
        if ((cpu->FlagOp & 0xFF) != 0)
        {
            SetStatus(cpu, Status(cpu));
        }
    }

    /// <summary>All of EFLAGS, with the flags brought up to date.</summary>
    public static uint Read(CpuState* cpu)
    {
        Materialise(cpu);
        return cpu->Eflags;
    }

    /// <summary>CF as 0 or 1.</summary>
    public static uint Carry(CpuState* cpu) => (cpu->FlagOp & 0xFF) switch
    {
        (uint)FlagOperation.Materialised => cpu->Eflags & Flags.Cf,
        (uint)FlagOperation.Add => cpu->FlagResult < cpu->FlagA ? 1u : 0,
        (uint)FlagOperation.Subtract => cpu->FlagA < cpu->FlagB ? 1u : 0,
        (uint)FlagOperation.Logic => 0,
        _ => cpu->FlagB,
    };

    /// <summary>ZF, SF and PF of a result of <paramref name="size"/> bytes, zero-extended.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static uint ZeroSignParity(uint result, int size) =>
        (result == 0 ? Flags.Zf : 0)
        | ((result >> ((size * 8) - 8)) & Flags.Sf)
        | ((~(uint)BitOperations.PopCount(result & 0xFF) & 1) << 2);

    /// <summary>A condition code 0 to 15 (SDM vol. 1, appendix B): O, NO, B, AE, E, NE, BE, A, S, NS, P, NP, L, GE, LE, G.</summary>
    public static bool Condition(CpuState* cpu, int code)
    {
        uint op = cpu->FlagOp;
        bool value;
        if ((op & 0xFF) == (uint)FlagOperation.Subtract)
        {
            value = AfterSubtract(cpu, code >> 1, (int)(op >> 8) & 0xFF);
        }
        else if (code >> 1 == 2 && op != (uint)FlagOperation.Materialised)
        {
            value = cpu->FlagResult == 0;
        }
        else
        {
            value = FromStatus(Status(cpu), code >> 1);
        }

        return value ^ ((code & 1) != 0);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static bool AfterSubtract(CpuState* cpu, int pair, int size)
    {
        uint a = cpu->FlagA, b = cpu->FlagB;
        int shift = 32 - (size * 8);
        switch (pair)
        {
            case 1:
                return a < b;
            case 2:
                return a == b;
            case 3:
                return a <= b;
            case 4:
                return (int)(cpu->FlagResult << shift) < 0;
            case 6:
                return (int)(a << shift) < (int)(b << shift);
            case 7:
                return (int)(a << shift) <= (int)(b << shift);
            default:
                return FromStatus(Status(cpu), pair);
        }
    }

    private static bool FromStatus(uint flags, int pair) => pair switch
    {
        0 => (flags & Flags.Of) != 0,
        1 => (flags & Flags.Cf) != 0,
        2 => (flags & Flags.Zf) != 0,
        3 => (flags & (Flags.Cf | Flags.Zf)) != 0,
        4 => (flags & Flags.Sf) != 0,
        5 => (flags & Flags.Pf) != 0,
        6 => SignedLess(flags),
        _ => SignedLess(flags) || (flags & Flags.Zf) != 0,
    };

    private static bool SignedLess(uint flags) => ((flags >> 7) & 1) != ((flags >> 11) & 1);
}
