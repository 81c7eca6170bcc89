using Dbt.Translator.FloatingPoint;

namespace Dbt.Translator.Interpretation.Portable;

/// <summary>
/// Comparisons and classification (SDM vol. 1, 8.3.6). The answer is given also where an unmasked exception is raised; only
/// the pops are left out then.
/// </summary>
internal static unsafe class X87Compare
{
    private const uint Carry = 1, Parity = 4, ZeroFlag = 0x40, StatusFlags = 0x8D5;

    /// <summary>FCOM, FCOMP, FCOMPP, FICOM, FICOMP.</summary>
    public static void Ordered(ref X87Unit unit, PortableX87 i) => ToConditions(ref unit, i, quiet: false);

    /// <summary>FUCOM, FUCOMP, FUCOMPP.</summary>
    public static void Unordered(ref X87Unit unit, PortableX87 i) => ToConditions(ref unit, i, quiet: true);

    /// <summary>FCOMI, FCOMIP.</summary>
    public static void OrderedToFlags(ref X87Unit unit, PortableX87 i) => ToFlags(ref unit, i, quiet: false);

    /// <summary>FUCOMI, FUCOMIP.</summary>
    public static void UnorderedToFlags(ref X87Unit unit, PortableX87 i) => ToFlags(ref unit, i, quiet: true);

    /// <summary>FTST.</summary>
    public static void Test(ref X87Unit unit, PortableX87 i)
    {
        FloatRelation relation = FloatRelation.Unordered;
        if (unit.IsEmpty(0))
        {
            unit.Underflow();
        }
        else
        {
            relation = SoftFloat.Compare(unit.Get(0), Unpacked.Zero(false), quiet: false, ref unit.Status);
        }

        unit.Conditions(Bits(relation));
    }

    /// <summary>FXAM.</summary>
    public static void Examine(ref X87Unit unit, PortableX87 i)
    {
        Unpacked value = unit.Get(0);
        if (value.Sign)
        {
            unit.Condition(X87Unit.C1);
        }

        unit.Conditions(unit.IsEmpty(0) ? X87Unit.C3 | X87Unit.C0 : value.Class switch
        {
            FloatClass.Unsupported => 0,
            FloatClass.Zero => X87Unit.C3,
            FloatClass.Infinity => X87Unit.C2 | X87Unit.C0,
            FloatClass.Finite => value.Denormal ? X87Unit.C3 | X87Unit.C2 : X87Unit.C2,
            _ => X87Unit.C0,
        });
    }

    private static void ToConditions(ref X87Unit unit, PortableX87 i, bool quiet)
    {
        FloatRelation relation = Relation(ref unit, i, quiet);
        unit.Conditions(Bits(relation));
        if (!unit.Stopped)
        {
            unit.Pop(i.Pops);
        }
    }

    private static void ToFlags(ref X87Unit unit, PortableX87 i, bool quiet)
    {
        FloatRelation relation = Relation(ref unit, i, quiet);
        uint flags = relation switch
        {
            FloatRelation.Less => Carry,
            FloatRelation.Equal => ZeroFlag,
            FloatRelation.Greater => 0,
            _ => Carry | Parity | ZeroFlag,
        };
        unit.Registers->Eflags = (unit.Registers->Eflags & ~StatusFlags) | flags;
        if (!unit.Stopped)
        {
            unit.Pop(i.Pops);
        }
    }

    // ST(0) with a register or memory; the forms that pop twice name none and mean ST(1).
    private static FloatRelation Relation(ref X87Unit unit, PortableX87 i, bool quiet)
    {
        int other = i.Second >= 0 ? i.Second : 1;
        if (unit.IsEmpty(0) || (!i.HasMemory && unit.IsEmpty(other)))
        {
            unit.Underflow();
            return FloatRelation.Unordered;
        }

        return SoftFloat.Compare(unit.Get(0), i.HasMemory ? i.ReadMemory(in unit) : unit.Get(other), quiet, ref unit.Status);
    }

    private static int Bits(FloatRelation relation) => relation switch
    {
        FloatRelation.Less => X87Unit.C0,
        FloatRelation.Equal => X87Unit.C3,
        FloatRelation.Greater => 0,
        _ => X87Unit.C0 | X87Unit.C2 | X87Unit.C3,
    };
}
