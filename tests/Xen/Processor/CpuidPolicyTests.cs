using Dbt.Translator.Instructions;
using Dbt.Xen.Processor;
using Mnemonic = Iced.Intel.Mnemonic;

namespace Dbt.Tests.Xen.Processor;

/// <summary>What CPUID tells, and that it tells no more than the processor does.</summary>
public sealed class CpuidPolicyTests
{
    [Theory]
    [InlineData(1, 'd', 0, Mnemonic.Fadd)]
    [InlineData(1, 'd', 8, Mnemonic.Cmpxchg8b)]
    [InlineData(1, 'd', 15, Mnemonic.Cmove)]
    [InlineData(1, 'd', 19, Mnemonic.Clflush)]
    [InlineData(1, 'd', 23, Mnemonic.Emms)]
    [InlineData(1, 'd', 24, Mnemonic.Fxsave)]
    [InlineData(1, 'd', 25, Mnemonic.Addps)]
    [InlineData(1, 'd', 26, Mnemonic.Addpd)]
    [InlineData(1, 'c', 0, Mnemonic.Haddps)]
    [InlineData(1, 'c', 1, Mnemonic.Pclmulqdq)]
    [InlineData(1, 'c', 9, Mnemonic.Pshufb)]
    [InlineData(1, 'c', 19, Mnemonic.Pmulld)]
    [InlineData(1, 'c', 20, Mnemonic.Pcmpistri)]
    [InlineData(1, 'c', 22, Mnemonic.Movbe)]
    [InlineData(1, 'c', 23, Mnemonic.Popcnt)]
    [InlineData(1, 'c', 25, Mnemonic.Aesenc)]
    [InlineData(1, 'c', 26, Mnemonic.Xsave)]
    [InlineData(1, 'c', 28, Mnemonic.Vaddps)]
    [InlineData(1, 'c', 30, Mnemonic.Rdrand)]
    [InlineData(1, 'd', 11, Mnemonic.Sysenter)]
    [InlineData(7, 'b', 3, Mnemonic.Andn)]
    [InlineData(7, 'b', 8, Mnemonic.Pdep)]
    [InlineData(7, 'b', 18, Mnemonic.Rdseed)]
    [InlineData(7, 'b', 19, Mnemonic.Adcx)]
    [InlineData(0x80000001, 'c', 5, Mnemonic.Lzcnt)]
    public void A_feature_is_offered_only_where_its_instructions_exist(uint leaf, char register, int bit, Mnemonic mnemonic)
    {
        CpuidResult result = new CpuidPolicy().Read(leaf, 0, 0);
        uint value = register switch { 'b' => result.Ebx, 'c' => result.Ecx, _ => result.Edx };
        bool offered = (value >> bit & 1) != 0;
        Assert.True(!offered || InstructionTable.Lookup(mnemonic) is not null, $"{mnemonic} is offered and not implemented");
    }

    [Fact]
    public void What_pv_guests_do_not_see()
    {
        CpuidResult one = new CpuidPolicy().Read(1, 0, 0);

        // VME, PSE, APIC, SEP, MTRR, PGE; MONITOR, VMX, x2APIC, XSAVE, OSXSAVE, AVX.
        Assert.Equal(0u, one.Edx & ((1 << 1) | (1 << 3) | (1 << 9) | (1 << 11) | (1 << 12) | (1 << 13)));
        Assert.Equal(0u, one.Ecx & ((1 << 3) | (1 << 5) | (1 << 21) | (1 << 26) | (1 << 27) | (1 << 28)));
        Assert.NotEqual(0u, one.Edx & (1 << 6));
        Assert.NotEqual(0u, one.Ecx >> 31);
    }

    [Theory]
    [InlineData("sse4_2", 1u)]
    [InlineData("bmi2", 7u)]
    [InlineData("lzcnt", 0x80000001u)]
    [InlineData("hypervisor", 1u)]
    public void A_hidden_feature_is_hidden(string name, uint leaf)
    {
        var policy = new CpuidPolicy();
        Assert.True(CpuidFeatures.TryFind(name, out CpuidFeature feature));
        Assert.Equal(leaf, feature.Leaf);
        Assert.NotEqual(0u, Bits(policy, feature));
        policy.Apply(new CpuidChange(feature.Leaf, feature.Subleaf, feature.Register, 0, feature.Mask));
        Assert.Equal(0u, Bits(policy, feature));
    }

    [Fact]
    public void Hiding_a_feature_hides_what_needs_it()
    {
        var policy = new CpuidPolicy();
        policy.Apply(new CpuidChange(1, null, CpuidRegister.Edx, 0, 1 << 24));
        CpuidResult one = policy.Read(1, 0, 0);

        // FXSR: SSE, SSE2, SSE3, PCLMULQDQ, SSSE3, SSE4.1, SSE4.2, AES. Not MMX.
        Assert.Equal(0u, one.Edx & (7 << 24));
        Assert.Equal(0u, one.Ecx & (0x203 | (3 << 19) | (1 << 25)));
        Assert.NotEqual(0u, one.Edx & (1 << 23));
    }

    [Fact]
    public void What_is_not_there_cannot_be_claimed()
    {
        var policy = new CpuidPolicy();
        var change = new CpuidChange(1, null, CpuidRegister.Ecx, uint.MaxValue, 0);
        Assert.NotEqual(0u, policy.Unavailable(change) & (1 << 5));
        uint before = policy.Read(1, 0, 0).Ecx;
        policy.Apply(change);
        Assert.Equal(before, policy.Read(1, 0, 0).Ecx);
        policy.Apply(new CpuidChange(0, null, CpuidRegister.Eax, 0xD, uint.MaxValue));
        Assert.True(policy.Read(0, 0, 0).Eax <= 7);
        policy.Apply(new CpuidChange(0, null, CpuidRegister.Eax, 2, 0xD));
        Assert.Equal(2u, policy.Read(0, 0, 0).Eax);
    }

    [Fact]
    public void Every_feature_offered_has_a_name_and_every_instruction_it_promises()
    {
        uint named = 0, one = new CpuidPolicy().Read(1, 0, 0).Edx;
        foreach (CpuidFeature feature in CpuidFeatures.All.Where(f => f is { Leaf: 1, Register: CpuidRegister.Edx }))
        {
            named |= feature.Mask;
        }

        Assert.Equal(0u, one & ~named);
        Assert.Contains(CpuidFeatures.Offered, feature => feature.Name == "sse4_2");
        Assert.DoesNotContain(CpuidFeatures.Offered, feature => feature.Name is "vmx" or "lm" or "apic" or "pse");
    }

    [Fact]
    public void Leaves_beyond_the_last_are_empty()
    {
        var policy = new CpuidPolicy();
        Assert.Equal(default, policy.Read(8, 0, 0));
        Assert.Equal(default, policy.Read(0xD, 0, 0));
        Assert.Equal(default, policy.Read(0x40000006, 0, 0));
        Assert.Equal(default, policy.Read(0x80000009, 0, 0));
        Assert.Equal(default, policy.Read(uint.MaxValue, uint.MaxValue, 31));
        Assert.Equal(7u, policy.Read(0, 0, 0).Eax);
        Assert.Equal(3u << 25, policy.Read(1, 0, 3).Ebx & 0xFE000000);
    }

    private static uint Bits(CpuidPolicy policy, CpuidFeature feature)
    {
        CpuidResult result = policy.Read(feature.Leaf, feature.Subleaf ?? 0, 0);
        return feature.Mask & feature.Register switch
        {
            CpuidRegister.Eax => result.Eax,
            CpuidRegister.Ebx => result.Ebx,
            CpuidRegister.Ecx => result.Ecx,
            _ => result.Edx,
        };
    }
}
