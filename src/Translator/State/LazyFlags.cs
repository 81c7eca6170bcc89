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
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
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

        // No switch in any of these: they are copied (Cache/HostHelpers), which tables of jumps prevent.
        if (operation == FlagOperation.Subtract)
        {
            flags |= (a < b ? Flags.Cf : 0) | ((a ^ b ^ r) & Flags.Af);
            flags |= ((a ^ b) & (a ^ r) & sign) != 0 ? Flags.Of : 0;
        }
        else if (operation == FlagOperation.Add)
        {
            flags |= (r < a ? Flags.Cf : 0) | ((a ^ b ^ r) & Flags.Af);
            flags |= ((a ^ r) & (b ^ r) & sign) != 0 ? Flags.Of : 0;
        }
        else if (operation == FlagOperation.Increment)
        {
            flags |= b | ((r & 0xF) == 0 ? Flags.Af : 0) | (r == sign ? Flags.Of : 0);
        }
        else if (operation == FlagOperation.Decrement)
        {
            flags |= b | ((r & 0xF) == 0xF ? Flags.Af : 0) | (r == sign - 1 ? Flags.Of : 0);
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
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static uint Carry(CpuState* cpu)
    {
        uint operation = cpu->FlagOp & 0xFF;
        if (operation == (uint)FlagOperation.Materialised)
        {
            return cpu->Eflags & Flags.Cf;
        }

        if (operation == (uint)FlagOperation.Subtract)
        {
            return cpu->FlagA < cpu->FlagB ? 1u : 0;
        }

        if (operation == (uint)FlagOperation.Add)
        {
            return cpu->FlagResult < cpu->FlagA ? 1u : 0;
        }

        return operation == (uint)FlagOperation.Logic ? 0 : cpu->FlagB;
    }

    /// <summary>ZF, SF and PF of a result of <paramref name="size"/> bytes, zero-extended.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static uint ZeroSignParity(uint result, int size) =>
        (result == 0 ? Flags.Zf : 0)
        | ((result >> ((size * 8) - 8)) & Flags.Sf)
        | ((~(uint)BitOperations.PopCount(result & 0xFF) & 1) << 2);

    /// <summary>A condition code 0 to 15 (SDM vol. 1, appendix B): O, NO, B, AE, E, NE, BE, A, S, NS, P, NP, L, GE, LE, G.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
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
        if (pair == 2)
        {
            return a == b;
        }

        if (pair < 4)
        {
            return pair == 1 ? a < b : pair == 3 ? a <= b : FromStatus(Status(cpu), pair);
        }

        if (pair > 5)
        {
            return pair == 6 ? (int)(a << shift) < (int)(b << shift) : (int)(a << shift) <= (int)(b << shift);
        }

        return pair == 4 ? (int)(cpu->FlagResult << shift) < 0 : FromStatus(Status(cpu), pair);
    }

    // O, B, E, BE, S, P, L, LE.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static bool FromStatus(uint flags, int pair)
    {
        if (pair < 4)
        {
            uint wanted = pair < 2 ? (pair == 0 ? Flags.Of : Flags.Cf) : pair == 2 ? Flags.Zf : Flags.Cf | Flags.Zf;
            return (flags & wanted) != 0;
        }

        if (pair < 6)
        {
            return (flags & (pair == 4 ? Flags.Sf : Flags.Pf)) != 0;
        }

        return SignedLess(flags) || (pair == 7 && (flags & Flags.Zf) != 0);
    }

    private static bool SignedLess(uint flags) => ((flags >> 7) & 1) != ((flags >> 11) & 1);
}
