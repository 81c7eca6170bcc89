using Iced.Intel;

namespace Dbt.Translator.Emit;

/// <summary>Which registers a region touches: bit masks of those read or written, and of those written.</summary>
/// <param name="Used">General registers read or written.</param>
/// <param name="Written">General registers written.</param>
/// <param name="UsedVectors">XMM and MMX registers read or written by translated instructions.</param>
/// <param name="WrittenVectors">XMM and MMX registers written by translated instructions.</param>
internal readonly record struct RegisterUse(int Used, int Written, int UsedVectors, int WrittenVectors);

/// <summary>Which registers a region touches.</summary>
internal static class RegisterSummary
{
    [ThreadStatic]
    private static InstructionInfoFactory? s_factory;

    /// <summary>Of all its instructions.</summary>
    public static RegisterUse Of(Region region)
    {
        InstructionInfoFactory factory = s_factory ??= new InstructionInfoFactory();
        int used = 0, written = 0, usedVectors = 0, writtenVectors = 0;
        foreach (GuestBlock block in region.Blocks)
        {
            foreach (ref readonly Instruction instruction in System.Runtime.InteropServices.CollectionsMarshal.AsSpan(block.Instructions))
            {
                bool translated = Translatable.Routine(instruction, region) is not null;
                foreach (UsedRegister register in factory.GetInfo(instruction).GetUsedRegisters())
                {
                    bool writes = register.Access is OpAccess.Write or OpAccess.CondWrite or OpAccess.ReadWrite or OpAccess.ReadCondWrite;
                    if (register.Register.IsGPR())
                    {
                        int bit = 1 << InstructionEmitter.NumberOf(register.Register);
                        used |= bit;
                        written |= writes ? bit : 0;
                    }
                    else if (translated && (register.Register.IsXMM() || register.Register.IsMM()))
                    {
                        int bit = 1 << InstructionEmitter.VectorNumber(register.Register);
                        usedVectors |= bit;
                        writtenVectors |= writes ? bit : 0;
                    }
                }
            }
        }

        return new RegisterUse(used, written, usedVectors, writtenVectors);
    }
}
