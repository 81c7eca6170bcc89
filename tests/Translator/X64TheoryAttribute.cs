namespace Dbt.Tests.Translator;

/// <summary>A theory about the host's own x87 and SSE; skipped, aloud, where the host is not an x86-64.</summary>
[AttributeUsage(AttributeTargets.Method)]
internal sealed class X64TheoryAttribute : TheoryAttribute
{
    public X64TheoryAttribute() => Skip = new X64FactAttribute().Skip;
}
