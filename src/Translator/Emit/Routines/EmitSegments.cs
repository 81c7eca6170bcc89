using System.Reflection.Emit;
using Dbt.Translator.State;
using Iced.Intel;

namespace Dbt.Translator.Emit.Routines;

/// <summary>Reads of segment registers; loads are the interpreter's, for they change what translations are made for.</summary>
internal static class EmitSegments
{
    /// <summary>MOV from a segment register.</summary>
    public static bool Mov(InstructionEmitter e, in Instruction i)
    {
        if (i.Op0Kind == OpKind.Memory)
        {
            LocalBuilder host = e.Host(i, 2, write: true);
            e.Store(host, Selector(e, i.Op1Register), 2);
        }
        else
        {
            e.SetRegister(i.Op0Register, Selector(e, i.Op1Register));
        }

        return true;
    }

    /// <summary>PUSH of a segment register, zero-extended.</summary>
    public static bool Push(InstructionEmitter e, in Instruction i)
    {
        if (i.StackPointerIncrement != -4)
        {
            return false;
        }

        EmitStack.PushValue(e, Selector(e, i.Op0Register));
        return true;
    }

    private static Value Selector(InstructionEmitter e, Register register)
    {
        e.LoadState(StateLayout.SegmentSelector((SegmentIndex)(register - Register.ES)), OpCodes.Ldind_U2);
        return e.StoreValue();
    }
}
