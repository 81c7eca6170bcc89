namespace Dbt.Tests.Translator.Oracle;

/// <summary>As <see cref="RequiresNative32FactAttribute"/>, with data.</summary>
[AttributeUsage(AttributeTargets.Method)]
internal sealed class RequiresNative32TheoryAttribute : TheoryAttribute
{
    public RequiresNative32TheoryAttribute() => Skip = new RequiresNative32FactAttribute().Skip;
}
