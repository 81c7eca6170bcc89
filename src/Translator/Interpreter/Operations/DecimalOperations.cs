using Dbt.Translator.State;

namespace Dbt.Translator.Interpretation.Operations;

/// <summary>Decimal adjustments, and the conversions of the accumulator. Undefined flags are as AMD's Zen leaves them.</summary>
internal static unsafe class DecimalOperations
{
    /// <summary>DAA.</summary>
    public static bool Daa(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d) => AdjustPacked(cpu, 1);

    /// <summary>DAS.</summary>
    public static bool Das(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d) => AdjustPacked(cpu, -1);

    /// <summary>AAA.</summary>
    public static bool Aaa(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d) => AdjustUnpacked(cpu, 0x106);

    /// <summary>AAS.</summary>
    public static bool Aas(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d) => AdjustUnpacked(cpu, -0x106);

    /// <summary>AAM; #DE for base 0.</summary>
    public static bool Aam(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d)
    {
        uint radix = d.Immediate & 0xFF;
        if (radix == 0)
        {
            return Interpreter.Raise(cpu, Vector.DivideError);
        }

        uint al = cpu->Gpr[0] & 0xFF;
        uint low = al % radix;
        Interpreter.Store((byte*)cpu->Gpr, 2, ((al / radix) << 8) | low);
        LazyFlags.SetStatus(cpu, LazyFlags.ZeroSignParity(low, 1));
        return true;
    }

    /// <summary>AAD.</summary>
    public static bool Aad(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d)
    {
        uint ax = cpu->Gpr[0] & 0xFFFF;
        uint result = ((ax & 0xFF) + ((ax >> 8) * (d.Immediate & 0xFF))) & 0xFF;
        Interpreter.Store((byte*)cpu->Gpr, 2, result);
        LazyFlags.SetStatus(cpu, LazyFlags.ZeroSignParity(result, 1));
        return true;
    }

    /// <summary>CBW.</summary>
    public static bool Cbw(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d)
    {
        Interpreter.Store((byte*)cpu->Gpr, 2, (uint)(sbyte)cpu->Gpr[0]);
        return true;
    }

    /// <summary>CWDE.</summary>
    public static bool Cwde(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d)
    {
        cpu->Gpr[0] = (uint)(short)cpu->Gpr[0];
        return true;
    }

    /// <summary>CWD.</summary>
    public static bool Cwd(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d)
    {
        Interpreter.Store((byte*)(cpu->Gpr + (int)Gpr.Edx), 2, (uint)((short)cpu->Gpr[0] >> 15));
        return true;
    }

    /// <summary>CDQ.</summary>
    public static bool Cdq(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d)
    {
        cpu->Gpr[(int)Gpr.Edx] = (uint)((int)cpu->Gpr[0] >> 31);
        return true;
    }

    private static bool AdjustPacked(CpuState* cpu, int direction)
    {
        uint flags = LazyFlags.Status(cpu);
        uint al = cpu->Gpr[0] & 0xFF;
        uint adjust = 0;
        uint carry = 0;
        uint auxiliary = 0;
        if ((al & 0xF) > 9 || (flags & Flags.Af) != 0)
        {
            adjust = 6;
            auxiliary = Flags.Af;
            // DAS: the borrow of this step counts too (SDM, DAS, operation).
            carry = direction < 0 && al < 6 ? Flags.Cf : 0;
        }

        if (al > 0x99 || (flags & Flags.Cf) != 0)
        {
            adjust += 0x60;
            carry = Flags.Cf;
        }

        uint result = (direction > 0 ? al + adjust : al - adjust) & 0xFF;
        uint overflow = direction > 0 ? (al ^ result) & (adjust ^ result) : (al ^ adjust) & (al ^ result);
        Interpreter.Store((byte*)cpu->Gpr, 1, result);
        LazyFlags.SetStatus(cpu, LazyFlags.ZeroSignParity(result, 1) | carry | auxiliary | ((overflow & 0x80) << 4));
        return true;
    }

    private static bool AdjustUnpacked(CpuState* cpu, int adjust)
    {
        uint ax = cpu->Gpr[0] & 0xFFFF;
        bool needed = (ax & 0xF) > 9 || (LazyFlags.Status(cpu) & Flags.Af) != 0;
        uint sum = needed ? (ax + (uint)adjust) & 0xFFFF : ax;
        Interpreter.Store((byte*)cpu->Gpr, 2, sum & 0xFF0F);
        LazyFlags.SetStatus(cpu, LazyFlags.ZeroSignParity(sum, 2) | (needed ? Flags.Af | Flags.Cf : 0));
        return true;
    }
}
