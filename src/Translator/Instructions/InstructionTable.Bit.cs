using Dbt.Translator.Emit.Routines;
using Dbt.Translator.Interpretation.Operations;
using Dbt.Translator.State;
using Iced.Intel;

namespace Dbt.Translator.Instructions;

// Bit tests, scans and counts.
internal static unsafe partial class InstructionTable
{
    private static InstructionRow[] BitRows() =>
    [
        new(Mnemonic.Bt, "BT", TestClass.Bit, &BitStringOperations.Test<BitTest>, emit: EmitBits.Bt, undefinedFlags: Flags.Of | Flags.Sf | Flags.Af | Flags.Pf),
        new(Mnemonic.Bts, "BTS", TestClass.Bit, &BitStringOperations.Test<BitSet>, emit: EmitBits.Bts, undefinedFlags: Flags.Of | Flags.Sf | Flags.Af | Flags.Pf),
        new(Mnemonic.Btr, "BTR", TestClass.Bit, &BitStringOperations.Test<BitReset>, emit: EmitBits.Btr, undefinedFlags: Flags.Of | Flags.Sf | Flags.Af | Flags.Pf),
        new(Mnemonic.Btc, "BTC", TestClass.Bit, &BitStringOperations.Test<BitComplement>, emit: EmitBits.Btc, undefinedFlags: Flags.Of | Flags.Sf | Flags.Af | Flags.Pf),
        new(Mnemonic.Bsf, "BSF", TestClass.Bit, &BitStringOperations.Bsf, emit: EmitBits.Bsf, undefinedFlags: Flags.Cf | Flags.Of | Flags.Sf | Flags.Af | Flags.Pf),
        new(Mnemonic.Bsr, "BSR", TestClass.Bit, &BitStringOperations.Bsr, emit: EmitBits.Bsr, undefinedFlags: Flags.Cf | Flags.Of | Flags.Sf | Flags.Af | Flags.Pf),
        new(Mnemonic.Popcnt, "POPCNT", TestClass.Bit, &BitStringOperations.Popcnt, emit: EmitCounts.Popcnt),
        new(Mnemonic.Lzcnt, "LZCNT", TestClass.Bit, &BitStringOperations.Lzcnt, emit: EmitCounts.Lzcnt, undefinedFlags: Flags.Of | Flags.Sf | Flags.Af | Flags.Pf),
        new(Mnemonic.Tzcnt, "TZCNT", TestClass.Bit, &BitStringOperations.Tzcnt, emit: EmitCounts.Tzcnt, undefinedFlags: Flags.Of | Flags.Sf | Flags.Af | Flags.Pf),
        new(Mnemonic.Crc32, "CRC32", TestClass.Bit, &BitStringOperations.Crc32),
        new(Mnemonic.Adcx, "ADCX", TestClass.Bit, &BmiOperations.Adcx),
        new(Mnemonic.Adox, "ADOX", TestClass.Bit, &BmiOperations.Adox),
        new(Mnemonic.Andn, "ANDN", TestClass.Bit, &BmiOperations.Andn, undefinedFlags: Flags.Af | Flags.Pf),
        new(Mnemonic.Bextr, "BEXTR", TestClass.Bit, &BmiOperations.Bextr, undefinedFlags: Flags.Sf | Flags.Af | Flags.Pf),
        new(Mnemonic.Blsi, "BLSI", TestClass.Bit, &BmiOperations.Blsi, undefinedFlags: Flags.Af | Flags.Pf),
        new(Mnemonic.Blsmsk, "BLSMSK", TestClass.Bit, &BmiOperations.Blsmsk, undefinedFlags: Flags.Af | Flags.Pf),
        new(Mnemonic.Blsr, "BLSR", TestClass.Bit, &BmiOperations.Blsr, undefinedFlags: Flags.Af | Flags.Pf),
        new(Mnemonic.Bzhi, "BZHI", TestClass.Bit, &BmiOperations.Bzhi, undefinedFlags: Flags.Af | Flags.Pf),
        new(Mnemonic.Mulx, "MULX", TestClass.Bit, &BmiOperations.Mulx),
        new(Mnemonic.Pdep, "PDEP", TestClass.Bit, &BmiOperations.Pdep),
        new(Mnemonic.Pext, "PEXT", TestClass.Bit, &BmiOperations.Pext),
        new(Mnemonic.Rorx, "RORX", TestClass.Bit, &BmiOperations.Rorx),
        new(Mnemonic.Sarx, "SARX/SHLX/SHRX", TestClass.Bit, &BmiOperations.Sarx),
        new(Mnemonic.Shlx, "SARX/SHLX/SHRX", TestClass.Bit, &BmiOperations.Shlx),
        new(Mnemonic.Shrx, "SARX/SHLX/SHRX", TestClass.Bit, &BmiOperations.Shrx),
    ];
}
