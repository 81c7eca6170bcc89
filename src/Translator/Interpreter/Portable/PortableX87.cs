using Dbt.Translator.FloatingPoint;
using Dbt.Translator.Interpretation.Native;
using Iced.Intel;

namespace Dbt.Translator.Interpretation.Portable;

/// <summary>One x87 instruction in managed code: a routine of its family, and its operands.</summary>
internal sealed unsafe class PortableX87 : ManagedRoutine
{
    private PortableX87(in Instruction guest)
    {
        Mnemonic = guest.Mnemonic;
        Operation = OperationOf(guest.Mnemonic);
        Second = -1;
        for (int i = 0, found = 0; i < guest.OpCount; i++)
        {
            if (guest.GetOpKind(i) == OpKind.Memory)
            {
                Memory = guest.MemorySize;
            }
            else if (guest.GetOpKind(i) == OpKind.Register && guest.GetOpRegister(i).IsST())
            {
                int number = guest.GetOpRegister(i) - Register.ST0;
                (First, Second) = found++ == 0 ? (number, -1) : (First, number);
            }
        }

        Pops = Mnemonic switch
        {
            Mnemonic.Faddp or Mnemonic.Fsubp or Mnemonic.Fsubrp or Mnemonic.Fmulp or Mnemonic.Fdivp or Mnemonic.Fdivrp => 1,
            Mnemonic.Fcomp or Mnemonic.Fucomp or Mnemonic.Ficomp or Mnemonic.Fcomip or Mnemonic.Fucomip => 1,
            Mnemonic.Fstp or Mnemonic.Fstpnce or Mnemonic.Fistp or Mnemonic.Fisttp or Mnemonic.Fbstp or Mnemonic.Ffreep => 1,
            Mnemonic.Fcompp or Mnemonic.Fucompp => 2,
            _ => 0,
        };
        KeepsC1 = Mnemonic is Mnemonic.Fcmovb or Mnemonic.Fcmovbe or Mnemonic.Fcmove or Mnemonic.Fcmovnb or Mnemonic.Fcmovnbe
            or Mnemonic.Fcmovne or Mnemonic.Fcmovu or Mnemonic.Fcmovnu or Mnemonic.Fcomi or Mnemonic.Fcomip or Mnemonic.Fucomi or Mnemonic.Fucomip;
    }

    /// <summary>Which instruction.</summary>
    public Mnemonic Mnemonic { get; }

    /// <summary>FADD, FSUB, FSUBR, FMUL, FDIV, FDIVR for these and their popping and integer forms; else none.</summary>
    public Mnemonic Operation { get; }

    /// <summary>Number of the first register operand; 0 where there is none.</summary>
    public int First { get; }

    /// <summary>Number of the second register operand, or -1.</summary>
    public int Second { get; }

    /// <summary>Type of the memory operand; <see cref="MemorySize.Unknown"/> for none.</summary>
    public MemorySize Memory { get; }

    /// <summary>Whether there is a memory operand.</summary>
    public bool HasMemory => Memory != MemorySize.Unknown;

    /// <summary>Registers popped after a result.</summary>
    public int Pops { get; }

    /// <summary>Whether C1 stays as it is, but for a stack fault.</summary>
    private bool KeepsC1 { get; }

    private delegate*<ref X87Unit, PortableX87, void> Routine { get; init; }

    /// <summary>The managed code of an instruction.</summary>
    /// <returns>Null where it is none of the x87's.</returns>
    public static PortableX87? Find(in Instruction guest)
    {
        delegate*<ref X87Unit, PortableX87, void> routine = guest.Mnemonic switch
        {
            _ when OperationOf(guest.Mnemonic) != Mnemonic.INVALID => &X87Arithmetic.Binary,
            Mnemonic.F2xm1 => &X87Transcendental.PowerMinusOne,
            Mnemonic.Fyl2x => &X87Transcendental.Logarithm,
            Mnemonic.Fyl2xp1 => &X87Transcendental.LogarithmOfOnePlus,
            Mnemonic.Fpatan => &X87Transcendental.ArcTangent,
            Mnemonic.Fptan => &X87Trigonometry.Tangent,
            Mnemonic.Fsin or Mnemonic.Fcos => &X87Trigonometry.SineOrCosine,
            Mnemonic.Fsincos => &X87Trigonometry.SineAndCosine,
            Mnemonic.Fsqrt => &X87Arithmetic.SquareRoot,
            Mnemonic.Frndint => &X87Arithmetic.RoundToIntegral,
            Mnemonic.Fscale => &X87Arithmetic.Scale,
            Mnemonic.Fxtract => &X87Arithmetic.Extract,
            Mnemonic.Fprem or Mnemonic.Fprem1 => &X87Remainder.Execute,
            Mnemonic.Fcom or Mnemonic.Fcomp or Mnemonic.Fcompp or Mnemonic.Ficom or Mnemonic.Ficomp => &X87Compare.Ordered,
            Mnemonic.Fucom or Mnemonic.Fucomp or Mnemonic.Fucompp => &X87Compare.Unordered,
            Mnemonic.Fcomi or Mnemonic.Fcomip => &X87Compare.OrderedToFlags,
            Mnemonic.Fucomi or Mnemonic.Fucomip => &X87Compare.UnorderedToFlags,
            Mnemonic.Ftst => &X87Compare.Test,
            Mnemonic.Fxam => &X87Compare.Examine,
            Mnemonic.Fld or Mnemonic.Fild => &X87Transfer.Load,
            Mnemonic.Fbld => &X87Decimal.Load,
            Mnemonic.Fbstp => &X87Decimal.Store,
            Mnemonic.Fst or Mnemonic.Fstp or Mnemonic.Fstpnce => &X87Transfer.Store,
            Mnemonic.Fist or Mnemonic.Fistp or Mnemonic.Fisttp => &X87Transfer.StoreInteger,
            Mnemonic.Fxch => &X87Transfer.Exchange,
            Mnemonic.Fcmovb or Mnemonic.Fcmovbe or Mnemonic.Fcmove or Mnemonic.Fcmovnb or Mnemonic.Fcmovnbe or Mnemonic.Fcmovne
                or Mnemonic.Fcmovu or Mnemonic.Fcmovnu => &X87Transfer.Conditional,
            Mnemonic.Fchs or Mnemonic.Fabs => &X87Transfer.ChangeSign,
            Mnemonic.Ffree or Mnemonic.Ffreep => &X87Transfer.Free,
            Mnemonic.Fincstp => &X87Transfer.IncrementTop,
            Mnemonic.Fdecstp => &X87Transfer.DecrementTop,
            Mnemonic.Fld1 or Mnemonic.Fldz or Mnemonic.Fldpi or Mnemonic.Fldl2e or Mnemonic.Fldl2t or Mnemonic.Fldlg2 or Mnemonic.Fldln2 => &X87Transfer.LoadConstant,
            _ => null,
        };
        return routine == null ? null : new PortableX87(guest) { Routine = routine };
    }

    /// <inheritdoc/>
    public override void Run(byte* area, byte* memory, NativeRegisters* registers)
    {
        var unit = new X87Unit(area, memory, registers);
        if (!KeepsC1)
        {
            unit.ClearC1();
        }

        Routine(ref unit, this);
        unit.Finish();
    }

    private static Mnemonic OperationOf(Mnemonic mnemonic) => mnemonic switch
    {
        Mnemonic.Fadd or Mnemonic.Faddp or Mnemonic.Fiadd => Mnemonic.Fadd,
        Mnemonic.Fsub or Mnemonic.Fsubp or Mnemonic.Fisub => Mnemonic.Fsub,
        Mnemonic.Fsubr or Mnemonic.Fsubrp or Mnemonic.Fisubr => Mnemonic.Fsubr,
        Mnemonic.Fmul or Mnemonic.Fmulp or Mnemonic.Fimul => Mnemonic.Fmul,
        Mnemonic.Fdiv or Mnemonic.Fdivp or Mnemonic.Fidiv => Mnemonic.Fdiv,
        Mnemonic.Fdivr or Mnemonic.Fdivrp or Mnemonic.Fidivr => Mnemonic.Fdivr,
        _ => Mnemonic.INVALID,
    };

    /// <summary>The memory operand as a number, without what its conversion raises.</summary>
    public Unpacked ReadMemory(in X87Unit unit) => Memory switch
    {
        MemorySize.Float32 => Unpacked.FromSingle(*(uint*)unit.Memory),
        MemorySize.Float64 => Unpacked.FromDouble(*(ulong*)unit.Memory),
        MemorySize.Float80 => Unpacked.FromExtended(*(ushort*)(unit.Memory + 8), *(ulong*)unit.Memory),
        MemorySize.Int16 => Unpacked.FromInt64(*(short*)unit.Memory),
        MemorySize.Int32 => Unpacked.FromInt64(*(int*)unit.Memory),
        MemorySize.Int64 => Unpacked.FromInt64(*(long*)unit.Memory),
        _ => throw new InvalidOperationException($"{Mnemonic} has no operand of type {Memory}."),
    };
}
