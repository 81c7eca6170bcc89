using Dbt.Translator.Interpretation;
using Dbt.Translator.Interpretation.Native;
using Dbt.Translator.Memory;
using Dbt.Translator.State;

namespace Dbt.Tests.Translator.Oracle.Mutations;

/// <summary>Interpreter's routines that are wrong in one respect: each changes something before or after the right one.</summary>
internal static unsafe class BrokenRoutines
{
    public static bool NoCarryIn(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d)
    {
        LazyFlags.SetStatus(cpu, LazyFlags.Status(cpu) & ~Flags.Cf);
        return MutatedTable.Original(interpreter, cpu, in d);
    }

    public static bool NoAuxiliaryCarry(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d) => Without(interpreter, cpu, in d, Flags.Af);

    public static bool NoCarryOut(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d) => Without(interpreter, cpu, in d, Flags.Cf);

    public static bool NoOverflow(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d) => Without(interpreter, cpu, in d, Flags.Of);

    public static bool NoParity(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d) => Without(interpreter, cpu, in d, Flags.Pf);

    /// <summary>RCL and RCR by CL take the count modulo the operand's size, not one more.</summary>
    public static bool RotateModuloSize(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d)
    {
        uint ecx = cpu->Gpr[1];
        if (d.Size == 4 || d.Kind1 != OperandKind.Register || (d.Kind0 == OperandKind.Register && d.Register0 / 4 == 1) || d.Base == 1 || d.Index == 1)
        {
            return MutatedTable.Original(interpreter, cpu, in d);
        }

        cpu->Gpr[1] = (ecx & ~0xFFu) | ((ecx & 31) % (uint)(d.Size * 8));
        bool done = MutatedTable.Original(interpreter, cpu, in d);
        cpu->Gpr[1] = ecx;
        return done;
    }

    /// <summary>BSF of zero writes its destination.</summary>
    public static bool ScanWritesZero(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d)
    {
        bool done = MutatedTable.Original(interpreter, cpu, in d);
        if (done && (LazyFlags.Status(cpu) & Flags.Zf) != 0)
        {
            Interpreter.Store(Interpreter.Register(cpu, d.Register0), d.Size, 0);
        }

        return done;
    }

    /// <summary>CMPXCHG does not load the accumulator when it fails.</summary>
    public static bool FailingExchangeKeepsAccumulator(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d)
    {
        uint eax = cpu->Gpr[0];
        bool done = MutatedTable.Original(interpreter, cpu, in d);
        if (done && (LazyFlags.Status(cpu) & Flags.Zf) == 0)
        {
            cpu->Gpr[0] = eax;
        }

        return done;
    }

    /// <summary>Strings always go upwards.</summary>
    public static bool DirectionIgnored(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d)
    {
        uint direction = cpu->Eflags & Flags.Df;
        cpu->Eflags &= ~Flags.Df;
        bool done = MutatedTable.Original(interpreter, cpu, in d);
        cpu->Eflags |= direction;
        return done;
    }

    /// <summary>REP runs once.</summary>
    public static bool RepeatIgnored(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d) => With(interpreter, cpu, in d, d.Flags & ~DecodedFlags.Rep);

    /// <summary>REPE and REPNE change places.</summary>
    public static bool RepeatInverted(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d) =>
        (d.Flags & (DecodedFlags.Rep | DecodedFlags.Repne)) == 0
            ? MutatedTable.Original(interpreter, cpu, in d)
            : With(interpreter, cpu, in d, d.Flags ^ (DecodedFlags.Rep | DecodedFlags.Repne));

    /// <summary>16-bit addresses do not wrap at 64 KiB.</summary>
    public static bool AddressDoesNotWrap(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d) =>
        With(interpreter, cpu, in d, d.Flags & ~DecodedFlags.Address16);

    /// <summary>Of a store that crosses a page only the first part is made.</summary>
    public static bool CrossingStoreLosesItsEnd(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d)
    {
        if (d.Kind0 != OperandKind.Memory)
        {
            return MutatedTable.Original(interpreter, cpu, in d);
        }

        uint linear = cpu->Segments[(int)d.Segment].Base + Interpreter.EffectiveAddress(cpu, in d);
        uint second = (linear | 0xFFF) + 1;
        int count = (int)(linear + d.Size - second);
        if (count <= 0 || !interpreter.TryResolve(cpu, second, MemoryAccess.Read, out byte* host))
        {
            return MutatedTable.Original(interpreter, cpu, in d);
        }

        uint before = *(uint*)host;
        bool done = MutatedTable.Original(interpreter, cpu, in d);
        new ReadOnlySpan<byte>(&before, count).CopyTo(new Span<byte>(host, count));
        return done;
    }

    /// <summary>A write's page fault looks like a read's.</summary>
    public static bool WriteFaultsAsRead(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d)
    {
        bool done = MutatedTable.Original(interpreter, cpu, in d);
        if (!done && cpu->Fault.Vector == Vector.PageFault)
        {
            cpu->Fault = new Fault { Vector = Vector.PageFault, ErrorCode = cpu->Fault.ErrorCode & ~2u, Address = cpu->Fault.Address };
        }

        return done;
    }

    /// <summary>Segments are one byte longer than their limits.</summary>
    public static bool LimitOffByOne(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d)
    {
        ref Segment segment = ref cpu->Segments[(int)d.Segment];
        uint high = segment.High, low = segment.Low;
        bool longer = high is > 0 and < 0x10000;
        segment.High += longer ? 1u : 0;
        bool done = MutatedTable.Original(interpreter, cpu, in d);
        if (segment.Low == low && longer)
        {
            segment.High = high;
        }

        return done;
    }

    /// <summary>Writing AH writes AL.</summary>
    public static bool HighByteIsLow(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d)
    {
        DecodedInstruction copy = d;
        if (d.Size == 1 && d.Kind0 == OperandKind.Register)
        {
            copy.Register0 &= 0xFC;
        }

        return MutatedTable.Original(interpreter, cpu, in copy);
    }

    /// <summary>A bit offset in a register stays inside the operand in memory.</summary>
    public static bool BitOffsetStaysInside(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d)
    {
        if (d.Kind0 != OperandKind.Memory || d.Kind1 != OperandKind.Register || d.Base == d.Register1 / 4 || d.Index == d.Register1 / 4)
        {
            return MutatedTable.Original(interpreter, cpu, in d);
        }

        uint* offset = (uint*)Interpreter.Register(cpu, d.Register1);
        uint before = *offset;
        *offset &= (uint)(d.Size * 8) - 1;
        bool done = MutatedTable.Original(interpreter, cpu, in d);
        *offset = before;
        return done;
    }

    /// <summary>JL looks at SF alone.</summary>
    public static bool LessIsNegative(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d)
    {
        DecodedInstruction copy = d;
        copy.Condition = 8;
        return MutatedTable.Original(interpreter, cpu, in copy);
    }

    /// <summary>A division that overflows or divides by zero goes on.</summary>
    public static bool DivisionDoesNotFault(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d) =>
        MutatedTable.Original(interpreter, cpu, in d) || cpu->Fault.Vector == Vector.DivideError;

    /// <summary>POPF leaves DF alone.</summary>
    public static bool PopKeepsDirection(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d)
    {
        uint direction = cpu->Eflags & Flags.Df;
        bool done = MutatedTable.Original(interpreter, cpu, in d);
        cpu->Eflags = done ? (cpu->Eflags & ~Flags.Df) | direction : cpu->Eflags;
        return done;
    }

    /// <summary>ENTER copies no outer frame pointers.</summary>
    public static bool NoNesting(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d)
    {
        DecodedInstruction copy = d;
        copy.Extra = Math.Min(copy.Extra & 31, 1);
        return MutatedTable.Original(interpreter, cpu, in copy);
    }

    /// <summary>The x87 rounds to nearest, whatever its control word says.</summary>
    public static bool RoundsToNearest(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d) => Controlled(interpreter, cpu, in d, 0xC00, 0);

    /// <summary>The x87 computes to 64 bits, whatever its control word says.</summary>
    public static bool FullPrecision(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d) => Controlled(interpreter, cpu, in d, 0x300, 0x300);

    /// <summary>C1 does not tell that a result was rounded up.</summary>
    public static bool NoC1(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d) => WithoutStatus(interpreter, cpu, in d, 0x200);

    /// <summary>FPREM gives no quotient bits.</summary>
    public static bool NoQuotientBits(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d) => WithoutStatus(interpreter, cpu, in d, 0x4300);

    /// <summary>FSTP leaves its register's tag.</summary>
    public static bool PopKeepsTag(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d)
    {
        byte tags = Fx(cpu)->Tags;
        bool done = MutatedTable.Original(interpreter, cpu, in d);
        Fx(cpu)->Tags |= tags;
        return done;
    }

    /// <summary>MXCSR.FZ without effect.</summary>
    public static bool NoFlushToZero(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d) => Steered(interpreter, cpu, in d, 0x8000, 0);

    /// <summary>MXCSR.DAZ without effect.</summary>
    public static bool NoDenormalsAreZero(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d) => Steered(interpreter, cpu, in d, 0x40, 0);

    /// <summary>CVTSS2SI truncates.</summary>
    public static bool Truncates(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d) => Steered(interpreter, cpu, in d, 0x6000, 0x6000);

    /// <summary>PSHUFB of two XMM registers ignores bit 7.</summary>
    public static bool ShuffleIgnoresHighBit(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d)
    {
        if (!interpreter.TryResolve(cpu, cpu->Eip + d.Length - 1, MemoryAccess.Execute, out byte* last) || *last < 0xC0
            || !interpreter.TryResolve(cpu, cpu->Eip, MemoryAccess.Execute, out byte* first) || *first != 0x66)
        {
            return MutatedTable.Original(interpreter, cpu, in d);
        }

        var mask = new Span<byte>(Fx(cpu)->Xmm + (16 * (*last & 7)), 16);
        byte[] before = mask.ToArray();
        for (int i = 0; i < 16; i++)
        {
            mask[i] &= 0x7F;
        }

        bool done = MutatedTable.Original(interpreter, cpu, in d);
        if ((*last & 7) != (*last >> 3 & 7))
        {
            before.CopyTo(mask);
        }

        return done;
    }

    private static FxState* Fx(CpuState* cpu) => (FxState*)&cpu->Fx;

    private static bool Without(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d, uint flags)
    {
        bool done = MutatedTable.Original(interpreter, cpu, in d);
        if (done)
        {
            LazyFlags.SetStatus(cpu, LazyFlags.Status(cpu) & ~flags);
        }

        return done;
    }

    private static bool With(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d, DecodedFlags flags)
    {
        DecodedInstruction copy = d;
        copy.Flags = flags;
        return MutatedTable.Original(interpreter, cpu, in copy);
    }

    private static bool Controlled(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d, int mask, int value)
    {
        ushort control = Fx(cpu)->ControlWord;
        Fx(cpu)->ControlWord = (ushort)((control & ~mask) | value);
        bool done = MutatedTable.Original(interpreter, cpu, in d);
        Fx(cpu)->ControlWord = control;
        return done;
    }

    private static bool Steered(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d, uint mask, uint value)
    {
        uint control = Fx(cpu)->Mxcsr;
        Fx(cpu)->Mxcsr = (control & ~mask) | value;
        bool done = MutatedTable.Original(interpreter, cpu, in d);
        Fx(cpu)->Mxcsr = (Fx(cpu)->Mxcsr & ~mask) | (control & mask);
        return done;
    }

    private static bool WithoutStatus(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d, int bits)
    {
        bool done = MutatedTable.Original(interpreter, cpu, in d);
        if (done)
        {
            Fx(cpu)->StatusWord &= (ushort)~bits;
        }

        return done;
    }
}
