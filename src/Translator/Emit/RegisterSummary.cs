using Iced.Intel;

namespace Dbt.Translator.Emit;

/// <summary>Which general registers a region touches.</summary>
internal static class RegisterSummary
{
    [ThreadStatic]
    private static InstructionInfoFactory? s_factory;

    /// <summary>Bit masks of the registers read or written, and of those written.</summary>
    public static (int Used, int Written) Of(Region region)
    {
        InstructionInfoFactory factory = s_factory ??= new InstructionInfoFactory();
        int used = 0, written = 0;
        foreach (GuestBlock block in region.Blocks)
        {
            foreach (ref readonly Instruction instruction in System.Runtime.InteropServices.CollectionsMarshal.AsSpan(block.Instructions))
            {
                foreach (UsedRegister register in factory.GetInfo(instruction).GetUsedRegisters())
                {
                    if (!register.Register.IsGPR())
                    {
                        continue;
                    }

                    int bit = 1 << InstructionEmitter.NumberOf(register.Register);
                    used |= bit;
                    if (register.Access is OpAccess.Write or OpAccess.CondWrite or OpAccess.ReadWrite or OpAccess.ReadCondWrite)
                    {
                        written |= bit;
                    }
                }
            }
        }

        return (used, written);
    }
}
